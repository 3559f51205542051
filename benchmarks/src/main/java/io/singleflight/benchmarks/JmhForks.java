package io.singleflight.benchmarks;

import static org.openjdk.jmh.runner.options.TimeValue.milliseconds;

import io.singleflight.benchmarks.Results.Cell;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * Runs JMH benchmarks one short fork at a time, so that the rivals can take turns: what disturbs
 * the machine for a while then disturbs them all.
 */
final class JmhForks {

  static final String NANOS = "ns/op";
  static final String BYTES = "B/op";

  /**
   * @param workload the name of the workload in the results
   * @param setting the name of the setting in the results
   * @param rival the name of the rival in the results
   * @param benchmark the benchmark's class
   * @param params the values of its params
   * @param threads how many threads call it
   */
  record Fork(
      String workload,
      String setting,
      String rival,
      Class<?> benchmark,
      Map<String, String> params,
      int threads) {}

  /**
   * @param warmups iterations that are not counted, in each fork
   * @param warmupMillis their length
   * @param iterations iterations that are, each of which gives one sample
   * @param millis their length
   */
  record Effort(int warmups, int warmupMillis, int iterations, int millis) {}

  private final Results results;
  private final Effort effort;

  JmhForks(Results results, Effort effort) {
    this.results = results;
    this.effort = effort;
  }

  void run(Fork fork) throws RunnerException {
    ChainedOptionsBuilder options =
        new OptionsBuilder()
            .include("\\." + fork.benchmark().getSimpleName() + "\\.")
            .threads(fork.threads())
            .forks(1)
            .warmupIterations(effort.warmups())
            .warmupTime(milliseconds(effort.warmupMillis()))
            .measurementIterations(effort.iterations())
            .measurementTime(milliseconds(effort.millis()))
            .addProfiler(GCProfiler.class)
            .shouldFailOnError(true)
            .jvmArgsAppend(jvmArgs())
            .verbosity(VerboseMode.SILENT);
    fork.params().forEach(options::param);
    for (RunResult result : new Runner(options.build()).run()) {
      for (BenchmarkResult benchmark : result.getBenchmarkResults()) {
        for (IterationResult iteration : benchmark.getIterationResults()) {
          record(fork, NANOS, iteration.getPrimaryResult());
          iteration
              .getSecondaryResults()
              .forEach((name, value) -> {
                if (name.endsWith("gc.alloc.rate.norm")) {
                  record(fork, BYTES, value);
                }
              });
        }
      }
    }
  }

  private static String[] jvmArgs() {
    List<String> heap = List.of("-Xms1g", "-Xmx1g");
    // JMH uses Unsafe, of which newer JVMs warn in each fork.
    List<String> quiet =
        Runtime.version().feature() < 23
            ? List.of()
            : List.of("--sun-misc-unsafe-memory-access=allow");
    return Stream.of(heap, quiet).flatMap(List::stream).toArray(String[]::new);
  }

  private void record(Fork fork, String metric, Result<?> result) {
    results.add(new Cell(fork.workload(), fork.setting(), fork.rival(), metric), result.getScore());
  }
}
