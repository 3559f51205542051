package io.singleflight.benchmarks;

import java.util.List;

/** The samples of one cell, at least one. */
record Samples(List<Double> values) {

  Samples {
    if (values.isEmpty()) {
      throw new IllegalArgumentException("no samples; give at least one");
    }
    values = values.stream().sorted().toList();
  }

  /** What a noisy neighbour disturbs least, and yet no lucky exception. */
  double lowerQuartile() {
    return quantile(0.25);
  }

  double median() {
    return quantile(0.5);
  }

  double upperQuartile() {
    return quantile(0.75);
  }

  double max() {
    return values.get(values.size() - 1);
  }

  private double quantile(double share) {
    double position = share * (values.size() - 1);
    int below = (int) position;
    int above = Math.min(below + 1, values.size() - 1);
    return values.get(below) + (position - below) * (values.get(above) - values.get(below));
  }
}
