package io.singleflight.benchmarks;

import static io.singleflight.benchmarks.Rival.CAFFEINE;
import static io.singleflight.benchmarks.Rival.CHM;
import static io.singleflight.benchmarks.Rival.CHM_CF;
import static io.singleflight.benchmarks.Rival.FLOOR;
import static io.singleflight.benchmarks.Rival.GUAVA;
import static io.singleflight.benchmarks.Rival.SINGLEFLIGHT;
import static io.singleflight.benchmarks.Rival.SINGLEFLIGHT_NEXT;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;

/** What the library is to reach, and what was measured of it. */
final class Targets {

  private static final String FEW = UncontendedCall.setting(1024, 1);
  private static final String MANY = UncontendedCall.setting(1_000_000, 1);
  private static final String US = SINGLEFLIGHT.name();

  private final Results results;
  private final List<Target> targets = new ArrayList<>();

  private Targets(Results results) {
    this.results = results;
  }

  static List<Target> of(Results results) {
    Targets targets = new Targets(results);
    targets.addAll();
    return targets.targets;
  }

  private void addAll() {
    call("bare ConcurrentHashMap put + remove", CHM.name(), 1.3, OptionalDouble.of(0.5));
    call("the floor, two CASes", FLOOR.name(), Double.POSITIVE_INFINITY, OptionalDouble.of(1.5));
    call(CAFFEINE.title, CAFFEINE.name(), 1, OptionalDouble.of(0.25));
    call(GoRival.TITLE, GoRival.NAME, 1, OptionalDouble.of(0.25));
    call(GUAVA.title, GUAVA.name(), 1, OptionalDouble.of(0.25));
    bytesPerCall();
    herd("leader free", HerdRelease.LEADER, 1000, ThreadKind.PLATFORM, 0.05, 0.01);
    for (int size : new int[] {10, 100, 1000}) {
      herd("all have it", HerdRelease.ALL, size, ThreadKind.PLATFORM, 1.1, 1);
    }
    for (int size : new int[] {1000, 10_000}) {
      herd("all have it", HerdRelease.ALL, size, ThreadKind.VIRTUAL, 1.05, 0.9);
    }
    bytesInFlight();
    executions("executions of a herd", SINGLEFLIGHT, 1);
    executions(
        "executions of a herd that comes while another is under way, NEXT", SINGLEFLIGHT_NEXT, 2);
    stale();
    growth();
  }

  private void call(String rivalTitle, String rival, double must, OptionalDouble aim) {
    ratio(
        "uncontended call, " + FEW + ", against " + rivalTitle,
        results.find("uncontended", FEW, US, JmhForks.NANOS),
        results.find("uncontended", FEW, rival, JmhForks.NANOS),
        must,
        aim,
        "ns");
  }

  private void herd(
      String what, String metric, int size, ThreadKind kind, double must, double aim) {
    String setting = HerdRelease.setting(size, kind);
    ratio(
        what + ", herd of " + setting + " threads, against " + CHM_CF.title,
        results.find("herd", setting, US, metric),
        results.find("herd", setting, CHM_CF.name(), metric),
        must,
        OptionalDouble.of(aim),
        "µs");
  }

  private void ratio(
      String workload,
      Optional<Samples> ours,
      Optional<Samples> theirs,
      double must,
      OptionalDouble aim,
      String unit) {
    if (ours.isEmpty() || theirs.isEmpty()) {
      return;
    }
    Samples us = ours.get();
    Samples them = theirs.get();
    targets.add(
        new Target(
            workload,
            must,
            aim,
            " ×",
            us.lowerQuartile() / them.lowerQuartile(),
            String.format(
                Locale.ROOT,
                "%s to %s %s; medians %s ×",
                Report.number(us.lowerQuartile()),
                Report.number(them.lowerQuartile()),
                unit,
                Report.number(us.median() / them.median()))));
  }

  private void bytesPerCall() {
    double ours = results.of("uncontended", FEW, US, JmhForks.BYTES).median();
    double theirs = results.of("uncontended", FEW, CHM_CF.name(), JmhForks.BYTES).median();
    targets.add(
        new Target(
            "bytes allocated by an uncontended call",
            Math.round(theirs),
            OptionalDouble.of(40),
            " B",
            Math.round(ours),
            CHM_CF.title + ": " + Report.number(Math.round(theirs)) + " B"));
  }

  private void bytesInFlight() {
    Samples ours = results.of("memory", InFlightMemory.BLOCKING, US, InFlightMemory.BYTES);
    Samples theirs =
        results.of("memory", InFlightMemory.BLOCKING, CHM_CF.name(), InFlightMemory.BYTES);
    ratio(
        "bytes a key in flight, 100,000 keys, against " + CHM_CF.title,
        Optional.of(ours),
        Optional.of(theirs),
        1,
        OptionalDouble.of(0.8),
        "B");
  }

  private void executions(String what, Rival rival, int fewest) {
    List<Samples> all =
        results.settings("herd").stream()
            .map(setting -> results.of("herd", setting, rival.name(), HerdRelease.EXECUTIONS))
            .toList();
    targets.add(
        new Target(
            what,
            fewest,
            OptionalDouble.of(fewest),
            "",
            all.stream().mapToDouble(Samples::max).max().orElseThrow(),
            "the most in any of "
                + Report.number(all.stream().mapToInt(each -> each.values().size()).sum())
                + " releases"));
  }

  private void stale() {
    double most = 0;
    double atOnce = 0;
    for (String setting : results.settings("overlap")) {
      for (Rival rival : List.of(SINGLEFLIGHT, SINGLEFLIGHT_NEXT)) {
        most = Math.max(most, results.of("overlap", setting, rival.name(), Overlap.STALE).max());
        atOnce =
            Math.max(atOnce, results.of("overlap", setting, rival.name(), Overlap.AT_ONCE).max());
      }
    }
    targets.add(
        new Target(
            "executions at once under overlap, NEXT too",
            1,
            OptionalDouble.of(1),
            "",
            atOnce,
            "the most in any setting"));
    targets.add(
        new Target(
            "stale results under overlap, NEXT too",
            0,
            OptionalDouble.of(0),
            " %",
            most,
            "the most in any setting"));
  }

  private void growth() {
    double ours = nanos(MANY, US) - nanos(FEW, US);
    double theirs = nanos(MANY, CHM.name()) - nanos(FEW, CHM.name());
    targets.add(
        new Target(
            "what a call costs more with 1,000,000 keys than with 1,024, against " + CHM.title,
            1,
            OptionalDouble.empty(),
            " ×",
            ours / theirs,
            String.format(
                Locale.ROOT,
                "%s to %s ns more; %s × to %s × as long",
                Report.number(ours),
                Report.number(theirs),
                Report.number(nanos(MANY, US) / nanos(FEW, US)),
                Report.number(nanos(MANY, CHM.name()) / nanos(FEW, CHM.name())))));
  }

  private double nanos(String setting, String rival) {
    return results.of("uncontended", setting, rival, JmhForks.NANOS).lowerQuartile();
  }
}
