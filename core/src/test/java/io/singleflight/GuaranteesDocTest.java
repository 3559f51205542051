package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The documentation keeps to the code: its examples are compiled, and the tests it names exist. */
class GuaranteesDocTest {

  private static final Path ROOT = Path.of("").toAbsolutePath().getParent();
  private static final Path GUARANTEES = ROOT.resolve("docs/guarantees.md");
  private static final Path README = ROOT.resolve("README.md");
  private static final Path MAIN = ROOT.resolve("core/src/main/java");

  private static final Pattern PROMISE = Pattern.compile("(?m)^## (P\\d+)\\b");
  private static final Pattern NAMED_TEST = Pattern.compile("`(\\w+)(?:#(\\w+))?`");
  private static final Pattern MARKDOWN_CODE = Pattern.compile("(?s)```java\n(.*?)```");
  private static final Pattern JAVADOC_CODE = Pattern.compile("(?s)<pre>\\{@code\n(.*?)}</pre>");
  private static final Pattern EXAMPLE = Pattern.compile("(?s) *// example\n(.*?)\n *// end\n");
  private static final Pattern LINK = Pattern.compile("]\\(([^)#:]+)(?:#[^)]*)?\\)");

  @Test
  void guarantees_eachPromise_namesATestThatExists() {
    Map<String, String> sections = promises(read(GUARANTEES));
    assertThat(sections.keySet())
        .containsExactlyElementsOf(IntStream.rangeClosed(1, 12).mapToObj(i -> "P" + i).toList());
    sections.forEach((promise, text) -> {
      List<MatchResult> tests = namedTests(text);
      assertThat(tests).as("tests named by %s", promise).isNotEmpty();
      assertThat(tests.stream().filter(test -> !exists(test)).map(MatchResult::group))
          .as("tests named by %s that do not exist", promise)
          .isEmpty();
    });
  }

  @Test
  void namedTests_ofATextThatNamesMissingOnes_areToldApart() {
    String text =
        "**Proof.** `GuaranteesDocTest`, `NoSuchTest`,\n"
            + "`GuaranteesDocTest#guarantees_eachPromise_namesATestThatExists`,"
            + " `GuaranteesDocTest#no_such_test`\n";
    assertThat(namedTests(text).stream().map(this::exists))
        .containsExactly(true, false, true, false);
    assertThat(namedTests("**Not promised.** `GuaranteesDocTest`")).isEmpty();
  }

  @Test
  void examples_ofTheDocumentation_standInExamplesTest() {
    Path examples = ROOT.resolve("core/src/test/java/io/singleflight/ExamplesTest.java");
    Set<String> compiled = new TreeSet<>();
    EXAMPLE
        .matcher(read(examples))
        .results()
        .forEach(region -> compiled.add(region.group(1).stripTrailing().stripIndent()));

    List<String> shown = new ArrayList<>(codeOf(MARKDOWN_CODE, read(README)));
    assertThat(shown).as("examples of the README").isNotEmpty();
    shown.addAll(codeOf(MARKDOWN_CODE, read(GUARANTEES)));
    for (Path source : files(MAIN, ".java")) {
      String javadoc = read(source).replaceAll("(?m)^ *\\* ?", "");
      shown.addAll(codeOf(JAVADOC_CODE, javadoc));
    }
    assertThat(shown)
        .isNotEmpty()
        .allSatisfy(code -> assertThat(partsOf(code)).isSubsetOf(compiled));
  }

  @Test
  void links_ofTheDocumentation_leadSomewhere() {
    List<Path> pages = new ArrayList<>(files(ROOT.resolve("docs"), ".md"));
    pages.add(README);
    pages.add(ROOT.resolve("CONTRIBUTING.md"));
    for (Path page : pages) {
      assertThat(LINK.matcher(read(page)).results().map(link -> link.group(1)))
          .as("links of %s", page)
          .allSatisfy(link -> assertThat(page.resolveSibling(link)).exists());
    }
  }

  /** Returns the text under the heading of each promise, in the order of the page. */
  private static Map<String, String> promises(String page) {
    Map<String, String> sections = new LinkedHashMap<>();
    for (String section : page.split("(?m)^(?=## )")) {
      Matcher heading = PROMISE.matcher(section);
      if (heading.lookingAt()) {
        sections.merge(heading.group(1), section, String::concat);
      }
    }
    return sections;
  }

  /** Returns the classes and methods that stand in back-quotes after "Proof." */
  private static List<MatchResult> namedTests(String section) {
    int proof = section.indexOf("**Proof.**");
    return proof < 0 ? List.of() : NAMED_TEST.matcher(section.substring(proof)).results().toList();
  }

  private boolean exists(MatchResult test) {
    String method = test.group(2);
    Pattern declaration = Pattern.compile("\\bvoid " + method + "\\(|\\bclass " + method + "\\b");
    return Stream.of("core/src/test/java", "verification/src")
        .map(ROOT::resolve)
        .filter(Files::isDirectory)
        .flatMap(sources -> files(sources, "/" + test.group(1) + ".java").stream())
        .anyMatch(file -> method == null || declaration.matcher(read(file)).find());
  }

  private static List<String> codeOf(Pattern blocks, String text) {
    return blocks.matcher(text).results().map(block -> block.group(1)).toList();
  }

  /* A line of dots alone stands for what a block leaves out between two examples. */
  private static Set<String> partsOf(String code) {
    return Stream.of(code.split("(?m)^// \\.\\.\\.$"))
        .map(String::strip)
        .collect(Collectors.toSet());
  }

  private static List<Path> files(Path directory, String ending) {
    try (Stream<Path> walk = Files.walk(directory)) {
      return walk.filter(Files::isRegularFile)
          .filter(file -> file.toUri().getPath().endsWith(ending))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file).replace("\r\n", "\n");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
