package io.singleflight.benchmarks;

import java.util.Locale;
import java.util.OptionalDouble;

/**
 * A figure that the library is to reach: less is better.
 *
 * @param workload what is compared, and with whom
 * @param must the greatest figure that will do, infinite if any will
 * @param aim the greatest that would be excellent
 * @param unit of the figures
 * @param measured what was measured
 * @param detail further figures, to judge that one by
 */
record Target(
    String workload, double must, OptionalDouble aim, String unit, double measured, String detail) {

  String mustText() {
    return limit(OptionalDouble.of(must));
  }

  String aimText() {
    return limit(aim);
  }

  String measuredText() {
    return Report.number(measured) + unit;
  }

  String mustVerdict() {
    return must < Double.POSITIVE_INFINITY ? verdict(must) : "–";
  }

  String aimVerdict() {
    return aim.isPresent() ? verdict(aim.getAsDouble()) : "–";
  }

  boolean missed() {
    return measured > must;
  }

  private String verdict(double limit) {
    if (measured <= limit) {
      return "met";
    }
    if (limit == 0) {
      return "**missed**";
    }
    double times = measured / limit;
    return times < 2
        ? String.format(Locale.ROOT, "**missed** by %.0f %%", Math.ceil(100 * (times - 1)))
        : String.format(Locale.ROOT, "**missed**, %.1f times as much", times);
  }

  private String limit(OptionalDouble limit) {
    return limit.isPresent() && limit.getAsDouble() < Double.POSITIVE_INFINITY
        ? "≤ " + Report.number(limit.getAsDouble()) + unit
        : "–";
  }
}
