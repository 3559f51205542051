package io.singleflight.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.benchmarks.Results.Cell;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportTest {

  private static final String FEW = UncontendedCall.setting(1024, 1);

  @TempDir Path root;

  @Test
  void quantiles_ofSamplesInAnyOrder_lieBetweenThem() {
    Samples samples = new Samples(List.of(5.0, 1.0, 4.0, 2.0, 3.0));

    assertThat(samples.lowerQuartile()).isEqualTo(2);
    assertThat(samples.median()).isEqualTo(3);
    assertThat(samples.upperQuartile()).isEqualTo(4);
    assertThat(new Samples(List.of(1.0, 2.0)).median()).isEqualTo(1.5);
  }

  @Test
  void number_ofAnySize_hasThreeDigitsThatCount() {
    assertThat(List.of(0.01234, 1.3, 8.0, 23.46, 680.0, 5217.9, 10_682_272.6))
        .extracting(Report::number)
        .containsExactly("0.0123", "1.3", "8", "23.5", "680", "5,218", "10,682,273");
  }

  @Test
  void target_measured_tellsByHowMuchItIsMissed() {
    Target target = new Target("a call", 1.3, OptionalDouble.of(0.5), " ×", 1.2, "");

    assertThat(target.mustVerdict()).isEqualTo("met");
    assertThat(target.aimVerdict()).isEqualTo("**missed**, 2.4 times as much");
    assertThat(target.missed()).isFalse();
    assertThat(new Target("", 1.0, OptionalDouble.empty(), "", 1.095, "").mustVerdict())
        .isEqualTo("**missed** by 10 %");
    assertThat(new Target("", 0, OptionalDouble.empty(), "", 0.1, "").mustVerdict())
        .isEqualTo("**missed**");
  }

  @Test
  void results_writtenAndRead_areTheSame() throws IOException {
    Results results = everything();
    Path file = root.resolve("target/results.tsv");

    results.write(file);
    Results read = Results.read(file);

    assertThat(read.all()).isEqualTo(results.all());
    assertThat(read.facts()).isEqualTo(results.facts());
  }

  @Test
  void report_ofAllWorkloads_hasTargetsTablesAndCharts() throws IOException {
    Files.createDirectory(root.resolve("docs"));

    Report.write(everything(), root);

    assertThat(root.resolve("docs/benchmarks.md"))
        .content()
        .contains(
            "| uncontended call, 1,024 keys, 1 thread, against bare ConcurrentHashMap put + remove | 2 × ")
        .contains("**missed** by 54 %")
        .contains("| Caffeine get + invalidate | ~~10/s, *1*~~ **7 % stale** |")
        .contains("| a machine | of ours |");
    for (String chart : List.of("call", "leader", "herd", "herd-virtual", "memory")) {
      assertThat(root.resolve("docs/images/benchmarks-" + chart + ".svg"))
          .content()
          .contains("<svg");
      assertThat(root.resolve("docs/images/benchmarks-" + chart + "-dark.svg"))
          .content()
          .contains("<svg");
    }
  }

  @Test
  void report_ofNothing_saysWhatIsMissing() {
    assertThatThrownBy(() -> Report.text(new Results()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("nothing was measured for")
        .hasMessageContaining("measure again");
  }

  private static Results everything() {
    Results results = new Results();
    for (Rival rival : Rival.values()) {
      double nanos = rival == Rival.SINGLEFLIGHT ? 100 : 50;
      for (String setting : List.of(FEW, UncontendedCall.setting(1_000_000, 1))) {
        results.add(new Cell("uncontended", setting, rival.name(), JmhForks.NANOS), nanos);
        results.add(new Cell("uncontended", setting, rival.name(), JmhForks.BYTES), 64);
        nanos *= 1.5;
      }
      for (int size : Measurement.VIRTUAL_HERDS) {
        for (ThreadKind kind : ThreadKind.values()) {
          String setting = HerdRelease.setting(size, kind);
          for (String metric :
              List.of(
                  HerdRelease.LEADER,
                  HerdRelease.HALF,
                  HerdRelease.ALL,
                  HerdRelease.CPU,
                  HerdRelease.EXECUTIONS)) {
            results.add(new Cell("herd", setting, rival.name(), metric), size);
          }
        }
      }
      String overlap = Overlap.setting(8, 10_000);
      results.add(new Cell("overlap", overlap, rival.name(), Overlap.CALLS), 10);
      results.add(new Cell("overlap", overlap, rival.name(), Overlap.SERVED), 1);
      results.add(
          new Cell("overlap", overlap, rival.name(), Overlap.STALE),
          rival == Rival.CAFFEINE ? 7 : 0);
      results.add(new Cell("overlap", overlap, rival.name(), Overlap.AT_ONCE), 1);
      results.add(
          new Cell("memory", InFlightMemory.BLOCKING, rival.name(), InFlightMemory.BYTES), 66);
    }
    for (String workload : List.of("kinds", "leaving", "options", "jfr")) {
      results.add(new Cell(workload, "any", "singleflight", JmhForks.NANOS), 30);
      results.add(new Cell(workload, "any", "singleflight", JmhForks.BYTES), 24);
    }
    results.addFact("a machine", "of ours");
    return results;
  }
}
