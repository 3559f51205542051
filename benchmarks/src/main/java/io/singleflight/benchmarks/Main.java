package io.singleflight.benchmarks;

import io.singleflight.benchmarks.Measurement.Form;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** The command line of the benchmarks. */
public final class Main {

  private static final String USAGE =
      """
      Usage: java -jar benchmarks/target/benchmarks.jar COMMAND, in the root of the project

      short                    measures everything in ten minutes and writes docs/benchmarks.md
      long                     the same in an hour or two, for a release
      report                   writes docs/benchmarks.md again from what was measured last
      quick uncontended [KEYS [THREADS]]   a minute: one call, against the nearest rivals
      quick herd [RIVAL]...                a minute: herds, against a map and futures
      quick overlap            a minute: callers of one key, all rivals
      quick memory             some seconds: bytes a key in flight
      jmh ARGUMENTS            JMH's own command line
      """;

  private static final Path ROOT = Path.of("");
  private static final Path RESULTS = ROOT.resolve("benchmarks/target/results.tsv");

  private Main() {}

  /**
   * Measures.
   *
   * @param args what to measure
   * @throws Exception if that fails
   */
  public static void main(String... args) throws Exception {
    List<String> words = List.of(args);
    switch (words.isEmpty() ? "" : words.get(0)) {
      case "short" -> measure(Form.SHORT);
      case "long" -> measure(Form.LONG);
      case "report" -> Report.write(Results.read(RESULTS), requireRoot());
      case "jmh" -> org.openjdk.jmh.Main.main(Arrays.copyOfRange(args, 1, args.length));
      case "quick" -> quick(words.subList(1, words.size()));
      default -> fail();
    }
  }

  private static void measure(Form form) throws Exception {
    Path root = requireRoot();
    Results results = Measurement.run(form);
    results.write(RESULTS);
    Report.write(results, root);
  }

  private static Path requireRoot() {
    if (!Files.isDirectory(ROOT.resolve("docs"))) {
      throw new IllegalStateException(
          "there is no docs/ in " + ROOT.toAbsolutePath() + "; run this in the project's root");
    }
    return ROOT;
  }

  private static void quick(List<String> words) throws Exception {
    switch (words.isEmpty() ? "" : words.get(0)) {
      case "uncontended" -> Quick.uncontended(number(words, 1, 1024), number(words, 2, 1));
      case "herd" -> Quick.herd(rivals(words.subList(1, words.size())));
      case "overlap" -> Quick.overlap();
      case "memory" -> Quick.memory();
      default -> fail();
    }
  }

  private static List<Rival> rivals(List<String> names) {
    return names.isEmpty()
        ? List.of(Rival.CHM_CF, Rival.SINGLEFLIGHT)
        : names.stream().map(Rival::valueOf).toList();
  }

  private static int number(List<String> words, int index, int otherwise) {
    return words.size() > index ? Integer.parseInt(words.get(index)) : otherwise;
  }

  private static void fail() {
    System.err.print(USAGE);
    System.exit(2);
  }
}
