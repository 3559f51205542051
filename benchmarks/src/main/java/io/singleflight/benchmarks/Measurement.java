package io.singleflight.benchmarks;

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
import io.singleflight.benchmarks.JmhForks.Fork;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** All workloads, one after another; in each, the rivals take turns. */
final class Measurement {

  /** How long to measure. */
  enum Form {
    /** Ten minutes at most, on two cores. */
    SHORT(
        new Effort(3, 500, 5, 100),
        4,
        2,
        1,
        4,
        2,
        120,
        List.of(FLOOR, CHM, CHM_CF, CAFFEINE, SINGLEFLIGHT)),
    /** An hour or two, for a release. */
    LONG(new Effort(5, 1000, 10, 200), 10, 5, 5, 30, 10, 500, CALL_RIVALS);

    private final Effort effort;
    private final int roundsOfCalls;
    private final int roundsOfFurtherCalls;
    private final int roundsOfKinds;
    private final double herdSeconds;
    private final int overlapRounds;
    private final int overlapMillis;
    private final List<Rival> furtherCallRivals;

    Form(
        Effort effort,
        int roundsOfCalls,
        int roundsOfFurtherCalls,
        int roundsOfKinds,
        double herdSeconds,
        int overlapRounds,
        int overlapMillis,
        List<Rival> furtherCallRivals) {
      this.effort = effort;
      this.roundsOfCalls = roundsOfCalls;
      this.roundsOfFurtherCalls = roundsOfFurtherCalls;
      this.roundsOfKinds = roundsOfKinds;
      this.herdSeconds = herdSeconds;
      this.overlapRounds = overlapRounds;
      this.overlapMillis = overlapMillis;
      this.furtherCallRivals = furtherCallRivals;
    }
  }

  private interface Turn {
    void take() throws Exception;
  }

  static final int[] PLATFORM_HERDS = {2, 10, 100, 1000};
  static final int[] VIRTUAL_HERDS = {2, 10, 100, 1000, 10_000};

  private static final List<Rival> CALL_RIVALS =
      List.of(FLOOR, CHM, CHM_CF, CAFFEINE, CAFFEINE_ASYNC, GUAVA, REACTOR, SINGLEFLIGHT);
  private static final List<Rival> HERD_RIVALS =
      List.of(CHM_CF, CAFFEINE, CAFFEINE_ASYNC, GUAVA, REACTOR, SINGLEFLIGHT_NEXT, SINGLEFLIGHT);
  private static final List<Rival> OVERLAP_RIVALS =
      List.of(
          CHM_CF,
          CHM_CF_REPLAY,
          CAFFEINE,
          CAFFEINE_ASYNC,
          GUAVA,
          REACTOR,
          SINGLEFLIGHT_NEXT,
          SINGLEFLIGHT);
  private static final int HERD_SLICES = 2;

  private final Results results = new Results();
  private final long start = System.nanoTime();
  private final Form form;
  private final JmhForks jmh;
  private final Optional<GoRival> go;

  private Measurement(Form form) throws InterruptedException {
    this.form = form;
    this.jmh = new JmhForks(results, form.effort);
    this.go = GoRival.ifInstalled();
  }

  static Results run(Form form) throws Exception {
    Measurement measurement = new Measurement(form);
    measurement.run();
    Results results = measurement.results;
    long minutes = Math.round((System.nanoTime() - measurement.start) / 60e9);
    Machine.describe(results, measurement.go.map(GoRival::version), minutes);
    return results;
  }

  private void run() throws Exception {
    inTurns("uncontended calls", form.roundsOfCalls, calls(1024, 1, CALL_RIVALS));
    for (int[] setting : new int[][] {{1, 1}, {1_000_000, 1}, {1024, 2}, {1, 2}}) {
      inTurns(
          UncontendedCall.setting(setting[0], setting[1]),
          form.roundsOfFurtherCalls,
          calls(setting[0], setting[1], form.furtherCallRivals));
    }
    for (int size : PLATFORM_HERDS) {
      herds(size, ThreadKind.PLATFORM);
    }
    if (ThreadKind.VIRTUAL.exists()) {
      for (int size : VIRTUAL_HERDS) {
        herds(size, ThreadKind.VIRTUAL);
      }
    }
    tell("overlap");
    for (int callers : new int[] {2, 8, 64}) {
      for (long work : new long[] {0, 10_000, 1_000_000}) {
        Overlap.run(results, callers, work, OVERLAP_RIVALS, form.overlapRounds, form.overlapMillis);
      }
    }
    tell("keys in flight");
    InFlightMemory.run(results);
    inTurns("kinds of calls", form.roundsOfKinds, kinds());
  }

  private List<Turn> calls(int keys, int threads, List<Rival> rivals) {
    List<Turn> turns = new ArrayList<>();
    for (Rival rival : rivals) {
      turns.add(() -> jmh.run(UncontendedCall.fork(rival, keys, threads)));
    }
    if (threads == 1) {
      go.ifPresent(xsync -> turns.add(() -> xsync.call(results, keys, form.effort)));
    }
    return turns;
  }

  private void herds(int size, ThreadKind kind) throws Exception {
    String setting = HerdRelease.setting(size, kind);
    tell("herd of " + setting);
    List<Rival> rivals = new ArrayList<>(HERD_RIVALS);
    if (kind == ThreadKind.VIRTUAL && Runtime.version().feature() < 24) {
      // It waits in monitors, which hold on to all carrier threads there.
      rivals.remove(CAFFEINE);
    }
    double seconds = form.herdSeconds / HERD_SLICES;
    for (int slice = 0; slice < HERD_SLICES; slice++) {
      HerdRelease.run(results, size, kind, rivals, seconds);
      if (go.isPresent() && kind == ThreadKind.VIRTUAL) {
        go.get().herd(results, setting, size, seconds / rivals.size());
      }
    }
  }

  private List<Turn> kinds() {
    List<Turn> turns = new ArrayList<>();
    for (CallKinds.Kind kind : CallKinds.Kind.values()) {
      turns.add(single("kinds", kind.title, kind.by, CallKinds.class, "kind", kind));
    }
    for (AttachAndLeave.Way way : AttachAndLeave.Way.values()) {
      turns.add(single("leaving", way.title, way.by, AttachAndLeave.class, "way", way));
    }
    for (Options.Option option : Options.Option.values()) {
      turns.add(
          single("options", option.title, SINGLEFLIGHT.title, Options.class, "option", option));
    }
    for (FlightRecorder.Recorded recorded : FlightRecorder.Recorded.values()) {
      turns.add(
          single(
              "jfr",
              recorded.title,
              SINGLEFLIGHT.title,
              FlightRecorder.class,
              "recorded",
              recorded));
    }
    return turns;
  }

  private Turn single(
      String workload, String setting, String by, Class<?> benchmark, String param, Enum<?> value) {
    Fork fork = new Fork(workload, setting, by, benchmark, Map.of(param, value.name()), 1);
    return () -> jmh.run(fork);
  }

  private void inTurns(String what, int rounds, List<Turn> turns) throws Exception {
    for (int round = 1; round <= rounds; round++) {
      tell(what + ", round " + round + " of " + rounds);
      for (Turn turn : turns) {
        turn.take();
      }
    }
  }

  private void tell(String what) {
    long seconds = (System.nanoTime() - start) / 1_000_000_000;
    System.err.printf("%3d:%02d %s%n", seconds / 60, seconds % 60, what);
  }
}
