package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.History.Kind;
import io.singleflight.Load.Report;
import io.singleflight.Workload.Mix;
import java.time.Duration;
import java.util.EnumSet;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.parallel.Isolated;

/**
 * The promises under load. Long form: {@code ./mvnw -pl verification -am verify -Dverification=long
 * -Dtest=LoadTest -Dsurefire.failIfNoSpecifiedTests=false}.
 */
@Timeout(value = 2, unit = TimeUnit.HOURS)
@Isolated("its threads need the cores")
class LoadTest {

  private static final long CALLS = Form.LONG ? 4_000_000 : 150_000;
  private static final Mix EVERYTHING =
      new Mix(EnumSet.allOf(Kind.class), 4, true, true, true, false);
  private static final Mix NO_DEPARTURES =
      new Mix(EnumSet.allOf(Kind.class), 2, false, true, true, false);

  @Test
  void running_everythingHappens_noViolation() {
    run(EVERYTHING, Freshness.RUNNING, null, CALLS);
  }

  @Test
  void next_everythingHappens_noViolation() {
    run(EVERYTHING, Freshness.NEXT, null, CALLS);
  }

  @Test
  void running_nobodyLeaves_noViolation() {
    run(NO_DEPARTURES, Freshness.RUNNING, null, CALLS / 2);
  }

  @Test
  void next_nobodyLeaves_noViolation() {
    run(NO_DEPARTURES, Freshness.NEXT, null, CALLS / 2);
  }

  @Test
  void running_flightsAgeAndFillUp_noViolation() {
    run(EVERYTHING, Freshness.RUNNING, Duration.ofNanos(50_000), CALLS / 2);
  }

  private static void run(Mix mix, Freshness freshness, @Nullable Duration maxJoinAge, long calls) {
    long seed = System.nanoTime();
    long start = System.nanoTime();
    Report report =
        new Load(Workload.real(freshness, maxJoinAge), mix, freshness, maxJoinAge != null, 20)
            .run(calls, seed);
    System.out.printf(
        "load %s departures=%s maxJoinAge=%s: calls=%,d executions=%,d shared=%,d forgets=%,d"
            + " violations=%d in %,d ms%n",
        freshness,
        mix.departures(),
        maxJoinAge,
        report.calls(),
        report.executions(),
        report.shared(),
        report.forgets(),
        report.violations().size(),
        (System.nanoTime() - start) / 1_000_000);
    assertThat(report.violations().stream().limit(20)).as("seed %d", seed).isEmpty();
    assertThat(report.calls()).isGreaterThanOrEqualTo(calls);
    assertThat(report.shared()).isPositive();
  }
}
