package io.singleflight.benchmarks;

import static java.util.concurrent.TimeUnit.SECONDS;

import io.singleflight.benchmarks.Herd.Release;
import io.singleflight.benchmarks.Results.Cell;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The release of a herd: how soon the leader is free, half have the value, all have it, and what
 * that costs in CPU time.
 *
 * <p>This is no JMH benchmark: one release yields four figures, and takes a herd that is still
 * there for the next rival. The same threads serve all rivals in turn.
 *
 * <pre>{@code java -jar benchmarks/target/benchmarks.jar quick herd}</pre>
 */
final class HerdRelease {

  static final String LEADER = "leader free, µs";
  static final String HALF = "half have it, µs";
  static final String ALL = "all have it, µs";
  static final String CPU = "CPU, µs";
  static final String EXECUTIONS = "executions";

  private static final int LEAST_ROUNDS = 20;

  private HerdRelease() {}

  static String setting(int size, ThreadKind kind) {
    return size + " " + kind.name().toLowerCase(Locale.ROOT);
  }

  /** Releases herds for about the given time, of which the first fifth is not counted. */
  static void run(Results results, int size, ThreadKind kind, List<Rival> rivals, double seconds) {
    try (Herd herd = new Herd(size, kind)) {
      Map<Rival, Sharing> sharings = new EnumMap<>(Rival.class);
      rivals.forEach(rival -> sharings.put(rival, rival.create(herd::work)));
      rounds(herd, sharings, new Results(), setting(size, kind), seconds / 5);
      rounds(herd, sharings, results, setting(size, kind), seconds * 4 / 5);
    }
  }

  private static void rounds(
      Herd herd, Map<Rival, Sharing> sharings, Results results, String setting, double seconds) {
    List<Rival> order = new ArrayList<>(sharings.keySet());
    long end = System.nanoTime() + (long) (seconds * SECONDS.toNanos(1));
    for (int round = 0; round < LEAST_ROUNDS || System.nanoTime() < end; round++) {
      Collections.rotate(order, 1);
      for (Rival rival : order) {
        Release release = herd.release(sharings.get(rival));
        add(results, setting, rival, LEADER, release.leaderNanos() / 1e3);
        add(results, setting, rival, HALF, release.halfNanos() / 1e3);
        add(results, setting, rival, ALL, release.allNanos() / 1e3);
        add(results, setting, rival, CPU, release.cpuNanos() / 1e3);
        add(results, setting, rival, EXECUTIONS, release.executions());
      }
    }
  }

  private static void add(
      Results results, String setting, Rival rival, String metric, double sample) {
    results.add(new Cell("herd", setting, rival.name(), metric), sample);
  }
}
