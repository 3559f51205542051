package io.singleflight.benchmarks;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.DecimalFormat;
import java.text.DecimalFormatSymbols;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;

/** Writes what was measured as {@code docs/benchmarks.md}, with charts in {@code docs/images}. */
final class Report {

  private static final String INTRO =
      """
      # Benchmarks

      The library and what its users would otherwise take, side by side, in one run. This page is written by

      ```sh
      ./mvnw -q -pl benchmarks -am package -DskipTests && java -jar benchmarks/target/benchmarks.jar short
      ```

      in some ten minutes on two cores, and by `long` instead of `short` in an hour or two. Nobody edits its figures; only
      [what bounds them](#what-bounds-it) is written by hand.

      The rivals take turns, a second or less each, so that whatever else the machine does disturbs them all: **ratios
      hold, nanoseconds are this machine's.** A figure is the lower quartile of its samples, followed by *(median, upper
      quartile)*. How each rival is used stands in
      [`Rival`](../benchmarks/src/main/java/io/singleflight/benchmarks/Rival.java), why it is measured so in
      [decision 50](decisions/0050-rivals-take-turns.md).
      """;

  private static final String CALL =
      """
      ## One uncontended call

      The key is nobody else's at the moment and the work takes no time: the cost of the library alone. The floor and the
      bare map share nothing; they are here for scale.
      """;

  private static final String CALL_SETTINGS =
      """
      With one key, with so many keys that they fit into no cache, and with two threads: on keys of their own, or both on
      the same key, where they meet.
      """;

  private static final String HERD =
      """
      ## Release of a herd

      Callers that all wait for one key. When its work ends: how soon is the leader, who performed it, free to go on; when
      do half of them have the value, when all, and what CPU time goes into it. In `NEXT` the herd is
      served by a second execution. Caffeine's `get` has no callers that wait for a value once it is invalidated: they
      execute one after another.
      """;

  private static final String OVERLAP =
      """
      ## Overlap

      Callers that ask for one key over and over: calls a second, *how many calls one execution served*, and how many
      results were **stale**: of an execution that the same caller had a result of before. Whoever replays finished
      results serves many and looks fast; such figures are struck out. The second row does so on purpose, to show that
      it is found out.
      """;

  private static final String MEMORY =
      """
      ## Keys in flight

      What the live heap grows by, a key, while 100,000 of them are in flight: by blocking calls, and by asynchronous ones
      (without the stage that the work returned).
      """;

  private static final String KINDS =
      """
      ## Every kind of call

      Uncontended, from the call until the caller has the value. What runs on an executor is handed to a virtual thread
      and back (a platform thread on older JVMs): that is nearly all of its time.
      """;

  private static final String LEAVING =
      """
      ## Join and leave

      A caller that joins a flight under way, and leaves it. In the idiom of a map and futures, those who have left stay on
      the shared future's list until it completes; here they do not.
      """;

  private static final String OPTIONS =
      """
      ## Options

      An uncontended `call` with one option set.
      """;

  private static final String JFR =
      """
      ## Flight Recorder

      An uncontended `call` without a recording, with one that leaves out `io.singleflight.Flight`, and with one that
      has every flight in it.
      """;

  private final Results results;
  private final StringBuilder page = new StringBuilder();

  private Report(Results results) {
    this.results = results;
  }

  static void write(Results results, Path root) throws IOException {
    Path docs = root.resolve("docs");
    Report report = new Report(results);
    report.draw(new Charts(docs.resolve("images")));
    Files.writeString(docs.resolve("benchmarks.md"), report.text());
  }

  static String text(Results results) throws IOException {
    return new Report(results).text();
  }

  /** Three digits that count, or all of a large number. */
  static String number(double value) {
    BigDecimal exact = BigDecimal.valueOf(value);
    BigDecimal rounded =
        Math.abs(value) >= 1000
            ? exact.setScale(0, RoundingMode.HALF_UP)
            : exact.round(new MathContext(3));
    return new DecimalFormat("#,##0.#####", DecimalFormatSymbols.getInstance(Locale.ROOT))
        .format(rounded);
  }

  static String title(String rival) {
    if (rival.equals(GoRival.NAME)) {
      return GoRival.TITLE;
    }
    for (Rival each : Rival.values()) {
      if (each.name().equals(rival)) {
        return each.title;
      }
    }
    return rival;
  }

  private String text() throws IOException {
    add(INTRO);
    targets();
    add("## What bounds it");
    add(byHand());
    add(CALL);
    picture(
        "benchmarks-call",
        "Time of one uncontended call by rival; the table below has the figures.");
    calls();
    add(CALL_SETTINGS);
    callSettings();
    add(HERD);
    picture("benchmarks-leader", "Time until the leader is free, by size of the herd.");
    picture("benchmarks-herd", "Time until all platform threads have it, by size of the herd.");
    picture(
        "benchmarks-herd-virtual", "Time until all virtual threads have it, by size of the herd.");
    herds(ThreadKind.PLATFORM);
    herds(ThreadKind.VIRTUAL);
    add(OVERLAP);
    overlap();
    add(MEMORY);
    picture(
        "benchmarks-memory", "Bytes a key in flight by rival; the table below has the figures.");
    memory();
    add(KINDS);
    singles("kinds", "Call");
    add(LEAVING);
    singles("leaving", "How");
    add(OPTIONS);
    singles("options", "Option");
    add(JFR);
    singles("jfr", "Recorded");
    add("## Where and with what");
    facts();
    return page.toString();
  }

  // Sections

  private void targets() {
    List<List<String>> rows = new ArrayList<>();
    List<Target> targets = Targets.of(results);
    for (Target target : targets) {
      rows.add(
          List.of(
              target.workload(),
              target.measuredText(),
              target.mustText(),
              target.mustVerdict(),
              target.aimText(),
              target.aimVerdict(),
              target.detail()));
    }
    long missed = targets.stream().filter(Target::missed).count();
    add("## Targets");
    add(
        "%d of %d musts are met. Less is better throughout."
            .formatted(targets.size() - missed, targets.size()));
    table(List.of("Workload", "Measured", "Must", "", "Aim", "", "In figures"), rows);
  }

  private static String byHand() throws IOException {
    try (InputStream in = Report.class.getResourceAsStream("bounds.md")) {
      return new String(Objects.requireNonNull(in, "bounds.md").readAllBytes(), UTF_8);
    }
  }

  private void calls() {
    String setting = UncontendedCall.setting(1024, 1);
    double ours = nanos(setting, Rival.SINGLEFLIGHT.name()).lowerQuartile();
    List<List<String>> rows = new ArrayList<>();
    for (String rival : byTime(setting)) {
      Samples nanos = nanos(setting, rival);
      rows.add(
          List.of(
              title(rival),
              spread(nanos),
              bytes(results.of("uncontended", setting, rival, JmhForks.BYTES)),
              number(nanos.lowerQuartile() / ours)));
    }
    table(List.of(setting, "ns", "bytes", "times singleflight"), rows);
  }

  private void callSettings() {
    List<String> settings = results.settings("uncontended");
    matrix(
        "ns",
        rivalsOf("uncontended", settings),
        settings,
        setting -> setting,
        (setting, rival) ->
            results.find("uncontended", setting, rival, JmhForks.NANOS).map(Report::spread));
  }

  private void herds(ThreadKind kind) {
    String suffix = " " + kind.name().toLowerCase(Locale.ROOT);
    List<String> settings =
        results.settings("herd").stream().filter(setting -> setting.endsWith(suffix)).toList();
    if (settings.isEmpty()) {
      return;
    }
    add("### On" + suffix + " threads");
    for (String metric : List.of(HerdRelease.LEADER, HerdRelease.HALF, HerdRelease.ALL)) {
      herd(metric, settings, Report::spread);
    }
    herd(HerdRelease.CPU, settings, Report::spread);
    herd(HerdRelease.EXECUTIONS, settings, samples -> number(samples.median()));
  }

  private void herd(String metric, List<String> settings, Function<Samples, String> cell) {
    matrix(
        metric,
        rivalsOf("herd", settings),
        settings,
        setting -> number(Integer.parseInt(setting.substring(0, setting.indexOf(' ')))),
        (setting, rival) -> results.find("herd", setting, rival, metric).map(cell));
  }

  private void overlap() {
    Map<String, List<String>> settingsByWork = new LinkedHashMap<>();
    for (String setting : results.settings("overlap")) {
      settingsByWork
          .computeIfAbsent(setting.substring(setting.indexOf(", ") + 2), w -> new ArrayList<>())
          .add(setting);
    }
    settingsByWork.forEach((work, settings) ->
        matrix(
            work,
            rivalsOf("overlap", settings),
            settings,
            setting -> setting.substring(0, setting.indexOf(',')),
            (setting, rival) -> Optional.of(overlapCell(setting, rival))));
  }

  private String overlapCell(String setting, String rival) {
    double calls = results.of("overlap", setting, rival, Overlap.CALLS).median();
    double served = results.of("overlap", setting, rival, Overlap.SERVED).median();
    double stale = results.of("overlap", setting, rival, Overlap.STALE).max();
    String figures = number(calls) + "/s, *" + number(served) + "*";
    return stale == 0 ? figures : "~~" + figures + "~~ **" + number(stale) + " % stale**";
  }

  private void memory() {
    matrix(
        "bytes",
        rivalsOf("memory", results.settings("memory")),
        results.settings("memory"),
        setting -> "`" + setting + "`",
        (setting, rival) ->
            results
                .find("memory", setting, rival, InFlightMemory.BYTES)
                .map(samples -> number(samples.median())));
  }

  private void singles(String workload, String heading) {
    List<List<String>> rows = new ArrayList<>();
    for (String setting : results.settings(workload)) {
      for (String by : results.rivals(workload, setting)) {
        rows.add(
            List.of(
                setting,
                by,
                spread(results.of(workload, setting, by, JmhForks.NANOS)),
                bytes(results.of(workload, setting, by, JmhForks.BYTES))));
      }
    }
    table(List.of(heading, "", "ns", "bytes"), rows);
  }

  private void facts() {
    List<List<String>> rows = new ArrayList<>();
    results.facts().forEach((name, fact) -> rows.add(List.of(name, fact)));
    table(List.of("", ""), rows);
  }

  // Charts

  private void draw(Charts charts) throws IOException {
    String setting = UncontendedCall.setting(1024, 1);
    List<String> rivals = byTime(setting);
    charts.bars(
        "benchmarks-call",
        "One uncontended call, " + setting,
        "ns, less is better",
        rivals.stream().map(Report::title).toList(),
        rivals.stream().map(rival -> nanos(setting, rival).lowerQuartile()).toList());
    herdChart(
        charts,
        "benchmarks-leader",
        "The leader is free again",
        HerdRelease.LEADER,
        ThreadKind.PLATFORM);
    herdChart(charts, "benchmarks-herd", "All have it", HerdRelease.ALL, ThreadKind.PLATFORM);
    if (!results.settings("herd").stream().allMatch(each -> each.endsWith(" platform"))) {
      herdChart(
          charts, "benchmarks-herd-virtual", "All have it", HerdRelease.ALL, ThreadKind.VIRTUAL);
    }
    List<String> holders =
        results.rivals("memory", InFlightMemory.BLOCKING).stream()
            .sorted(Comparator.comparingDouble(this::bytesInFlight))
            .toList();
    charts.bars(
        "benchmarks-memory",
        "One key in flight",
        "bytes, less is better",
        holders.stream().map(Report::title).toList(),
        holders.stream().map(this::bytesInFlight).toList());
  }

  private void herdChart(Charts charts, String name, String title, String metric, ThreadKind kind)
      throws IOException {
    String suffix = " " + kind.name().toLowerCase(Locale.ROOT);
    List<String> settings =
        results.settings("herd").stream().filter(setting -> setting.endsWith(suffix)).toList();
    Map<String, List<Double>> series = new LinkedHashMap<>();
    for (String rival :
        List.of(
            Rival.SINGLEFLIGHT.name(),
            Rival.CHM_CF.name(),
            Rival.CAFFEINE_ASYNC.name(),
            Rival.GUAVA.name(),
            Rival.REACTOR.name(),
            GoRival.NAME)) {
      List<Double> values =
          settings.stream()
              .flatMap(setting -> results.find("herd", setting, rival, metric).stream())
              .map(Samples::lowerQuartile)
              .toList();
      if (values.size() == settings.size()) {
        series.put(title(rival), values);
      }
    }
    charts.lines(
        name,
        title + ": herds of" + suffix + " threads",
        "callers",
        "µs, less is better",
        settings.stream()
            .map(setting -> Double.valueOf(setting.substring(0, setting.indexOf(' '))))
            .toList(),
        series);
  }

  // Small things

  private interface CellOf {
    Optional<String> at(String column, String row);
  }

  private void matrix(
      String corner,
      List<String> rivals,
      List<String> columns,
      Function<String, String> heading,
      CellOf cells) {
    List<String> headings = new ArrayList<>(List.of(corner));
    columns.forEach(column -> headings.add(heading.apply(column)));
    List<List<String>> rows = new ArrayList<>();
    for (String rival : rivals) {
      List<String> row = new ArrayList<>(List.of(title(rival)));
      columns.forEach(column -> row.add(cells.at(column, rival).orElse("–")));
      rows.add(row);
    }
    table(headings, rows);
  }

  private List<String> rivalsOf(String workload, List<String> settings) {
    return settings.stream()
        .flatMap(setting -> results.rivals(workload, setting).stream())
        .distinct()
        .toList();
  }

  private List<String> byTime(String setting) {
    return results.rivals("uncontended", setting).stream()
        .sorted(Comparator.comparingDouble(rival -> nanos(setting, rival).lowerQuartile()))
        .toList();
  }

  private Samples nanos(String setting, String rival) {
    return results.of("uncontended", setting, rival, JmhForks.NANOS);
  }

  private double bytesInFlight(String rival) {
    return results
        .of("memory", InFlightMemory.BLOCKING, rival, InFlightMemory.BYTES)
        .lowerQuartile();
  }

  private static String spread(Samples samples) {
    return "%s (%s, %s)"
        .formatted(
            number(samples.lowerQuartile()),
            number(samples.median()),
            number(samples.upperQuartile()));
  }

  private static String bytes(Samples samples) {
    return number(Math.round(samples.median()));
  }

  private void picture(String name, String alt) {
    add(
        """
        <picture>
          <source media="(prefers-color-scheme: dark)" srcset="images/%1$s-dark.svg">
          <img alt="%2$s" src="images/%1$s.svg">
        </picture>
        """
            .formatted(name, alt));
  }

  private void add(String paragraph) {
    page.append(page.isEmpty() ? "" : "\n").append(paragraph.strip()).append('\n');
  }

  private void table(List<String> headings, List<List<String>> rows) {
    StringBuilder table = new StringBuilder(row(headings));
    table.append("|---".repeat(headings.size())).append("|\n");
    rows.forEach(cells -> table.append(row(cells)));
    add(table.toString());
  }

  private static String row(List<String> cells) {
    return "| " + String.join(" | ", cells) + " |\n";
  }
}
