package io.singleflight.benchmarks;

import static io.singleflight.benchmarks.JmhRounds.BYTES;
import static io.singleflight.benchmarks.JmhRounds.NANOS;
import static io.singleflight.benchmarks.Rival.CAFFEINE;
import static io.singleflight.benchmarks.Rival.CHM;
import static io.singleflight.benchmarks.Rival.CHM_CF;
import static io.singleflight.benchmarks.Rival.FLOOR;
import static io.singleflight.benchmarks.Rival.SINGLEFLIGHT;

import io.singleflight.benchmarks.JmhRounds.Effort;
import io.singleflight.benchmarks.JmhRounds.Fork;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.openjdk.jmh.runner.RunnerException;

/** Comparisons of a minute, for whoever is changing the library. */
final class Quick {

  private Quick() {}

  static void uncontended(int keys, int threads) throws RunnerException {
    Results results = new Results();
    List<Rival> rivals = List.of(FLOOR, SINGLEFLIGHT, CHM, CHM_CF, CAFFEINE);
    String setting = keys + " keys, " + threads + " threads";
    new JmhRounds(results, new Effort(2, 400, 5, 100))
        .run(
            5,
            rivals.stream()
                .map(rival ->
                    Fork.of(
                        "uncontended",
                        setting,
                        rival,
                        UncontendedCall.class,
                        Map.of("keys", Integer.toString(keys)),
                        threads))
                .toList());
    System.out.println(setting + ": lower quartile (median, upper quartile)");
    double bare = cell(results, setting, CHM, NANOS).lowerQuartile();
    for (Rival rival : rivals) {
      Samples nanos = cell(results, setting, rival, NANOS);
      System.out.printf(
          Locale.ROOT,
          "%-40s %8.1f ns (%.1f, %.1f) %8.1f B %6.2f x CHM%n",
          rival.title,
          nanos.lowerQuartile(),
          nanos.median(),
          nanos.upperQuartile(),
          cell(results, setting, rival, BYTES).median(),
          nanos.lowerQuartile() / bare);
    }
  }

  private static Samples cell(Results results, String setting, Rival rival, String metric) {
    return results.of("uncontended", setting, rival.name(), metric);
  }
}
