package io.singleflight.benchmarks;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.singleflight.benchmarks.JmhForks.Effort;
import io.singleflight.benchmarks.Results.Cell;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * Go's {@code golang.org/x/sync/singleflight}, in processes of its own, where Go and that package
 * are installed: on Debian by {@code apt-get install golang-go golang-golang-x-sync-dev}.
 */
final class GoRival {

  static final String NAME = "GO_XSYNC";
  static final String TITLE = "Go x/sync";

  private static final String SOURCE = "xsync.go";
  private static final String DEBIAN_PACKAGES = "/usr/share/gocode";

  private final Path program;
  private final String version;

  private GoRival(Path program, String version) {
    this.program = program;
    this.version = version;
  }

  static Optional<GoRival> ifInstalled() throws InterruptedException {
    try {
      Path directory = Files.createTempDirectory("xsync");
      Path source = directory.resolve(SOURCE);
      try (InputStream in = GoRival.class.getResourceAsStream(SOURCE)) {
        Files.copy(Objects.requireNonNull(in, SOURCE), source);
      }
      Path program = directory.resolve("xsync");
      run(directory, "go", "build", "-o", program.toString(), source.toString());
      String version = String.join(" ", run(directory, "go", "version"));
      return Optional.of(new GoRival(program, version));
    } catch (IOException absent) {
      System.err.println("Go x/sync is left out: " + absent.getMessage());
      return Optional.empty();
    }
  }

  String version() {
    return version;
  }

  void call(Results results, int keys, Effort effort) throws IOException, InterruptedException {
    String setting = UncontendedCall.setting(keys, 1);
    int warmup = effort.warmups() * effort.warmupMillis();
    for (double[] sample : measure("call", keys, warmup, effort.iterations(), effort.millis())) {
      results.add(new Cell("uncontended", setting, NAME, JmhForks.NANOS), sample[0]);
      results.add(new Cell("uncontended", setting, NAME, JmhForks.BYTES), sample[1]);
    }
  }

  void herd(Results results, String setting, int size, double seconds)
      throws IOException, InterruptedException {
    for (double[] release : measure("herd", size, (int) (seconds * 1000))) {
      results.add(new Cell("herd", setting, NAME, HerdRelease.LEADER), release[0] / 1e3);
      results.add(new Cell("herd", setting, NAME, HerdRelease.HALF), release[1] / 1e3);
      results.add(new Cell("herd", setting, NAME, HerdRelease.ALL), release[2] / 1e3);
      results.add(new Cell("herd", setting, NAME, HerdRelease.EXECUTIONS), 1);
    }
  }

  private List<double[]> measure(String workload, int... args)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(program.toString(), workload));
    Arrays.stream(args).mapToObj(Integer::toString).forEach(command::add);
    return run(program.getParent(), command.toArray(String[]::new)).stream()
        .map(line -> Arrays.stream(line.split(" ")).mapToDouble(Double::parseDouble).toArray())
        .toList();
  }

  private static List<String> run(Path directory, String... command)
      throws IOException, InterruptedException {
    ProcessBuilder builder = new ProcessBuilder(command).directory(directory.toFile());
    builder.environment().put("GO111MODULE", "off");
    builder.environment().putIfAbsent("GOPATH", DEBIAN_PACKAGES);
    builder.environment().put("GOCACHE", directory.resolve("cache").toString());
    Process process = builder.redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(String.join(" ", command) + ": " + output.strip());
    }
    return output.lines().toList();
  }
}
