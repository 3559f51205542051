package io.singleflight.benchmarks;

import static io.singleflight.benchmarks.JmhForks.BYTES;
import static io.singleflight.benchmarks.JmhForks.NANOS;
import static io.singleflight.benchmarks.Rival.CAFFEINE;
import static io.singleflight.benchmarks.Rival.CAFFEINE_ASYNC;
import static io.singleflight.benchmarks.Rival.CHM;
import static io.singleflight.benchmarks.Rival.CHM_CF;
import static io.singleflight.benchmarks.Rival.CHM_CF_REPLAY;
import static io.singleflight.benchmarks.Rival.FLOOR;
import static io.singleflight.benchmarks.Rival.GUAVA;
import static io.singleflight.benchmarks.Rival.REACTOR;
import static io.singleflight.benchmarks.Rival.SINGLEFLIGHT;
import static io.singleflight.benchmarks.Rival.SINGLEFLIGHT_NEXT;

import io.singleflight.benchmarks.JmhForks.Effort;
import java.util.List;
import java.util.Locale;
import org.openjdk.jmh.runner.RunnerException;

/** Comparisons of a minute, for whoever is changing the library. */
final class Quick {

  private Quick() {}

  static void uncontended(int keys, int threads) throws RunnerException {
    Results results = new Results();
    List<Rival> rivals = List.of(FLOOR, SINGLEFLIGHT, CHM, CHM_CF, CAFFEINE);
    String setting = UncontendedCall.setting(keys, threads);
    JmhForks jmh = new JmhForks(results, new Effort(3, 500, 5, 100));
    for (int round = 0; round < 4; round++) {
      for (Rival rival : rivals) {
        jmh.run(UncontendedCall.fork(rival, keys, threads));
      }
    }
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

  static void herd(List<Rival> rivals) {
    System.out.println("herd: lower quartile (median), µs; the ratios are to " + CHM_CF.title);
    System.out.printf(
        Locale.ROOT,
        "%-16s %-40s %16s %16s %16s %9s %6s %6s%n",
        "callers",
        "",
        "leader free",
        "half",
        "all have it",
        "CPU",
        "free x",
        "all x");
    for (int size : new int[] {2, 10, 100, 1000}) {
      herd(size, ThreadKind.PLATFORM, rivals);
    }
    if (ThreadKind.VIRTUAL.exists()) {
      for (int size : new int[] {100, 1000, 10_000}) {
        herd(size, ThreadKind.VIRTUAL, rivals);
      }
    }
  }

  private static void herd(int size, ThreadKind kind, List<Rival> rivals) {
    Results results = new Results();
    HerdRelease.run(results, size, kind, rivals, 6);
    String setting = HerdRelease.setting(size, kind);
    for (Rival rival : rivals) {
      Samples all = results.of("herd", setting, rival.name(), HerdRelease.ALL);
      System.out.printf(
          Locale.ROOT,
          "%-16s %-40s %16s %16s %16s %9.1f %6.3f %6.2f%n",
          setting,
          rival.title + ", " + all.values().size(),
          brief(results.of("herd", setting, rival.name(), HerdRelease.LEADER)),
          brief(results.of("herd", setting, rival.name(), HerdRelease.HALF)),
          brief(all),
          results.of("herd", setting, rival.name(), HerdRelease.CPU).lowerQuartile(),
          ratio(results, setting, rival, HerdRelease.LEADER),
          ratio(results, setting, rival, HerdRelease.ALL));
    }
  }

  static void overlap() throws Exception {
    Results results = new Results();
    List<Rival> rivals =
        List.of(
            CHM_CF,
            CHM_CF_REPLAY,
            CAFFEINE,
            CAFFEINE_ASYNC,
            GUAVA,
            REACTOR,
            SINGLEFLIGHT_NEXT,
            SINGLEFLIGHT);
    for (int callers : new int[] {2, 8, 64}) {
      for (long work : new long[] {0, 10_000, 1_000_000}) {
        Overlap.run(results, callers, work, rivals, 3, 200);
      }
    }
    print(results);
  }

  static void memory() throws Exception {
    Results results = new Results();
    InFlightMemory.run(results);
    print(results);
  }

  private static void print(Results results) {
    results
        .all()
        .forEach((cell, values) -> {
          Samples samples = new Samples(values);
          System.out.printf(
              Locale.ROOT,
              "%-32s %-24s %-32s %12.1f (%.1f to %.1f)%n",
              cell.setting(),
              cell.rival(),
              cell.metric(),
              samples.median(),
              samples.lowerQuartile(),
              samples.upperQuartile());
        });
  }

  private static String brief(Samples samples) {
    return String.format(Locale.ROOT, "%.1f (%.1f)", samples.lowerQuartile(), samples.median());
  }

  private static double ratio(Results results, String setting, Rival rival, String metric) {
    return results.of("herd", setting, rival.name(), metric).lowerQuartile()
        / results.of("herd", setting, CHM_CF.name(), metric).lowerQuartile();
  }

  private static Samples cell(Results results, String setting, Rival rival, String metric) {
    return results.of("uncontended", setting, rival.name(), metric);
  }
}
