package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;

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

/** A copy of this JVM that Fray controls, for programs that explore schedules. */
final class FrayJvm {

  private static final Path TARGET = Path.of("target", "fray").toAbsolutePath();
  private static final Path AGENT = TARGET.resolve("libjvmti.so");
  private static final Path HOME = TARGET.resolve("jvm-" + Runtime.version());

  private FrayJvm() {}

  record Run(int exitCode, String output) {

    String summary() {
      return output.lines().filter(line -> line.startsWith("schedules: ")).findAny().orElseThrow();
    }
  }

  /** Links the copy, whose classes tell Fray of what they do, unless that has been done. */
  static synchronized void prepare() throws Exception {
    if (!Files.exists(AGENT)) {
      Files.createDirectories(TARGET);
      try (var library = FrayJvm.class.getResourceAsStream("/libjvmti.so")) {
        Files.copy(library, AGENT);
      }
    }
    if (!Files.exists(HOME.resolve("release"))) {
      link();
    }
  }

  private static void link() throws Exception {
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
                "--output=" + HOME));
    assertThat(link.exitCode).as(link.output).isZero();
  }

  static Run run(Class<?> program, String... arguments) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of(
                HOME.resolve("bin").resolve("java").toString(),
                "-javaagent:" + jar("fray-instrumentation-agent"),
                "-agentpath:" + AGENT,
                "-cp",
                System.getProperty("java.class.path"),
                program.getName()));
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
}
