package io.singleflight.benchmarks;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What was measured: for each cell of each table, all its samples. */
final class Results {

  /**
   * @param workload what was done
   * @param setting under which circumstances
   * @param rival by whom
   * @param metric what the samples are, with their unit
   */
  record Cell(String workload, String setting, String rival, String metric) {}

  private final Map<Cell, List<Double>> samples = new LinkedHashMap<>();

  void add(Cell cell, double sample) {
    samples.computeIfAbsent(cell, c -> new ArrayList<>()).add(sample);
  }

  Samples of(String workload, String setting, String rival, String metric) {
    Cell cell = new Cell(workload, setting, rival, metric);
    List<Double> found = samples.get(cell);
    if (found == null) {
      throw new IllegalArgumentException("nothing was measured for " + cell);
    }
    return new Samples(found);
  }

  Map<Cell, List<Double>> all() {
    return samples;
  }
}
