package io.singleflight.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** What was measured: for each cell of each table, all its samples; and where that was. */
final class Results {

  /**
   * @param workload what was done
   * @param setting under which circumstances
   * @param rival by whom
   * @param metric what the samples are, with their unit
   */
  record Cell(String workload, String setting, String rival, String metric) {}

  private final Map<Cell, List<Double>> samples = new LinkedHashMap<>();
  private final Map<String, String> facts = new LinkedHashMap<>();

  void add(Cell cell, double sample) {
    samples.computeIfAbsent(cell, c -> new ArrayList<>()).add(sample);
  }

  void addFact(String name, String fact) {
    facts.put(name, fact);
  }

  Samples of(String workload, String setting, String rival, String metric) {
    return find(workload, setting, rival, metric)
        .orElseThrow(() ->
            new IllegalArgumentException(
                "nothing was measured for "
                    + new Cell(workload, setting, rival, metric)
                    + "; measure again with this version"));
  }

  Optional<Samples> find(String workload, String setting, String rival, String metric) {
    return Optional.ofNullable(samples.get(new Cell(workload, setting, rival, metric)))
        .map(Samples::new);
  }

  Map<Cell, List<Double>> all() {
    return samples;
  }

  Map<String, String> facts() {
    return facts;
  }

  List<String> settings(String workload) {
    return samples.keySet().stream()
        .filter(cell -> cell.workload().equals(workload))
        .map(Cell::setting)
        .distinct()
        .toList();
  }

  /** The rivals of a setting, in the order in which they were measured. */
  List<String> rivals(String workload, String setting) {
    return samples.keySet().stream()
        .filter(cell -> cell.workload().equals(workload) && cell.setting().equals(setting))
        .map(Cell::rival)
        .distinct()
        .toList();
  }

  void write(Path file) throws IOException {
    List<String> lines = new ArrayList<>();
    facts.forEach((name, fact) -> lines.add(name + "\t" + fact));
    samples.forEach((cell, values) ->
        lines.add(
            String.join("\t", cell.workload(), cell.setting(), cell.rival(), cell.metric())
                + "\t"
                + values.stream().map(String::valueOf).collect(Collectors.joining(" "))));
    Files.createDirectories(file.toAbsolutePath().getParent());
    Files.write(file, lines);
  }

  static Results read(Path file) throws IOException {
    Results results = new Results();
    for (String line : Files.readAllLines(file)) {
      String[] fields = line.split("\t", -1);
      if (fields.length == 2) {
        results.addFact(fields[0], fields[1]);
      } else {
        Cell cell = new Cell(fields[0], fields[1], fields[2], fields[3]);
        Arrays.stream(fields[4].split(" "))
            .map(Double::valueOf)
            .forEach(sample -> results.add(cell, sample));
      }
    }
    return results;
  }
}
