package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.parallel.Isolated;
import org.openjdk.jcstress.annotations.JCStressTest;

/**
 * Runs jcstress over {@link Races}, in a JVM of its own. It must have run them all: jcstress passes
 * over what it cannot run on the machine at hand, and calls that a success.
 */
@Timeout(value = 2, unit = TimeUnit.HOURS)
@Isolated("its threads need the cores")
class RacesTest {

  private static final Path TARGET = Path.of("target", "jcstress");

  private record Run(int exitCode, String output) {}

  @Test
  void races_allTold_nothingForbidden() throws Exception {
    String one = System.getProperty("race", "");
    long races = one.isEmpty() ? testsIn(Races.class) : 1;
    Run run = run("races", Races.class.getName() + "." + one, Form.LONG);
    assertThat(planned(run)).isPositive().matches(runs -> runs % races == 0);
    assertThat(run.exitCode).as(run.output).isZero();
    System.out.println("jcstress: " + races + " races, " + verdicts(run));
  }

  @Test
  void canaries_lost_areFlagged() throws Exception {
    for (Class<?> canary : RaceCanaries.class.getDeclaredClasses()) {
      Run run = run("canary", canary.getName().replace('$', '.'), false);
      assertThat(planned(run)).isPositive();
      assertThat(run.exitCode).as(run.output).isPositive();
      System.out.println("jcstress canary " + canary.getSimpleName() + ": " + verdicts(run));
    }
  }

  private static long testsIn(Class<?> races) {
    return Arrays.stream(races.getDeclaredClasses())
        .filter(each -> each.isAnnotationPresent(JCStressTest.class))
        .count();
  }

  private static Run run(String name, String tests, boolean inFull)
      throws IOException, InterruptedException {
    Path directory = Files.createDirectories(TARGET.resolve(name));
    Path output = directory.resolve("output.txt");
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.addAll(List.of("org.openjdk.jcstress.Main", "-t", Pattern.quote(tests)));
    command.addAll(List.of("-r", directory.toAbsolutePath().toString()));
    command.addAll(
        inFull ? List.of("-m", "default") : List.of("-m", "quick", "-sc", "false", "-time", "100"));
    if (!inFull) {
      // Given any arguments, jcstress does not multiply the tests by modes of the JVM.
      String native22 = "--enable-native-access=ALL-UNNAMED";
      command.addAll(
          List.of("-jvmArgs", Runtime.version().feature() >= 22 ? native22 : "-XX:+UseSerialGC"));
    }
    Process process =
        new ProcessBuilder(command)
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    try {
      assertThat(process.waitFor(inFull ? 115 : 10, TimeUnit.MINUTES)).as("has ended").isTrue();
      return new Run(process.exitValue(), Files.readString(output));
    } finally {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
    }
  }

  /** Returns how many runs were planned: each test is run once in each mode of the JVM. */
  private static long planned(Run run) {
    Matcher planned = Pattern.compile("Results: (\\d+) planned").matcher(run.output);
    assertThat(planned.find()).as(run.output).isTrue();
    return Long.parseLong(planned.group(1));
  }

  private static String verdicts(Run run) {
    return run.output
        .lines()
        .filter(line -> line.startsWith("(Results: "))
        .reduce((first, second) -> second)
        .orElseThrow();
  }
}
