package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.BrokenSingleFlight.Fault;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;

/**
 * Runs {@link Schedules} in a JVM that Fray controls, which it must be seen to: what is broken is
 * found. Only where Fray can be trusted: on JDK 17 it waits for threads that are left behind.
 *
 * <p>{@code -Dseed=N} runs the schedule of a seed that was reported.
 */
@EnabledOnOs(value = OS.LINUX, architectures = "amd64")
@EnabledForJreRange(min = JRE.JAVA_25)
@Timeout(value = 2, unit = TimeUnit.HOURS)
class SchedulesTest {

  private static final String COUNT = Form.LONG ? "20000" : "2000";
  private static final String AT_MOST = "2000";
  private static final Path TARGET = Path.of("target", "fray").toAbsolutePath();
  private static final Path JVM = TARGET.resolve("jvm-" + Runtime.version());

  private record Run(int exitCode, String output) {}

  /** Links a copy of this JVM whose classes tell Fray of what they do. */
  @BeforeAll
  static void prepareJvm() throws Exception {
    if (Files.exists(JVM.resolve("release"))) {
      return;
    }
    Files.createDirectories(TARGET);
    String plugin =
        jars(name ->
            name.matches("(fray-instrumentation-(jdk|base)|fray-runtime|asm|kotlin-).*\\.jar"));
    Run link =
        run(
            List.of(
                tool("jlink"),
                "-J-javaagent:" + jar("fray-instrumentation-jdk"),
                "-J--class-path=" + plugin,
                "-J--module-path=" + plugin,
                "-J--add-modules=org.pastalab.fray.instrumentation.jdk",
                "--add-modules=java.se,jdk.jfr,jdk.unsupported",
                "--release-info=add:IMPLEMENTOR=Fray",
                "--fray-instrumentation",
                "--output=" + JVM));
    assertThat(link.exitCode).as(link.output).isZero();
  }

  @Test
  void schedules_ofAnyWorkload_breakNoPromise() throws Exception {
    String seed = System.getProperty("seed", "");
    Run run = seed.isEmpty() ? explore("0", COUNT) : explore(seed, "1");
    assertThat(run.exitCode).as(run.output).isZero();
    System.out.println(summary(run));
  }

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "NONE")
  void schedules_ofWhatIsBroken_areFound(Fault fault) throws Exception {
    Run run = explore("0", AT_MOST, fault.name());
    assertThat(run.exitCode).as(run.output).isEqualTo(1);
    System.out.println(fault + ": " + summary(run));
  }

  @Test
  void schedules_ofATextbook_areNotFlagged() throws Exception {
    Run run = explore("0", "500", Fault.NONE.name());
    assertThat(run.exitCode).as(run.output).isZero();
  }

  private static Run explore(String... arguments) throws Exception {
    Path agent = TARGET.resolve("libjvmti.so");
    if (!Files.exists(agent)) {
      try (var library = SchedulesTest.class.getResourceAsStream("/libjvmti.so")) {
        Files.copy(library, agent);
      }
    }
    List<String> command =
        new ArrayList<>(
            List.of(
                JVM.resolve("bin").resolve("java").toString(),
                "-javaagent:" + jar("fray-instrumentation-agent"),
                "-agentpath:" + agent,
                "-cp",
                System.getProperty("java.class.path"),
                Schedules.class.getName()));
    command.addAll(List.of(arguments));
    return run(command);
  }

  private static Run run(List<String> command) throws IOException, InterruptedException {
    Path output = Files.createTempFile(TARGET, "output", ".txt");
    Process process =
        new ProcessBuilder(command)
            .directory(TARGET.toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    try {
      assertThat(process.waitFor(Form.LONG ? 100 : 10, TimeUnit.MINUTES)).as("has ended").isTrue();
      return new Run(process.exitValue(), Files.readString(output));
    } finally {
      process.destroyForcibly();
    }
  }

  private static String tool(String name) {
    return Path.of(System.getProperty("java.home"), "bin", name).toString();
  }

  private static String jar(String artifact) {
    return jars(name -> name.startsWith(artifact));
  }

  private static String jars(Predicate<String> named) {
    return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .filter(each -> named.test(Path.of(each).getFileName().toString()))
        .collect(Collectors.joining(File.pathSeparator));
  }

  private static String summary(Run run) {
    return run.output
        .lines()
        .filter(line -> line.startsWith("schedules: "))
        .findAny()
        .orElseThrow();
  }
}
