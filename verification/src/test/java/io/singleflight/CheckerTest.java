package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.BrokenSingleFlight.Fault;
import io.singleflight.Checker.Rule;
import io.singleflight.Checker.Violation;
import io.singleflight.History.Kind;
import io.singleflight.Load.Report;
import io.singleflight.Workload.Mix;
import java.util.EnumSet;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The checker flags what is broken, by the rule that is broken, and nothing else. */
@Isolated("its threads need the cores")
class CheckerTest {

  private static final Set<Kind> CALL = EnumSet.of(Kind.CALL);
  private static final long AT_MOST = 1_000_000;

  @Test
  void check_nothingBroken_passes() {
    assertThat(load(Fault.NONE, new Mix(CALL, 2, true, true, true, false), 200_000).violations())
        .isEmpty();
  }

  @ParameterizedTest
  @CsvSource({
    "EAGER_PUBLISH,     P2,     false, false, false",
    "REMOVE_BY_KEY,     ONE,    false, true,  false",
    "RE_RUN_ON_FAILURE, P6,     false, false, false",
    "JOIN_AFTER_LAND,   P2,     false, false, false",
    "LOST_HAND_OFF,     RETURN, false, false, true",
    "NO_HAND_OFF,       P5,     false, false, true",
    "LOST_WAKE_UP,      RETURN, false, false, false",
    "CHECK_THEN_ACT,    ONE,    false, false, false",
    "NO_FENCE,          P10,    false, true,  false",
    "COPIED_FAILURE,    P6,     false, false, false"
  })
  void check_brokenImplementation_isFlagged(
      Fault fault, Rule rule, boolean departures, boolean forgets, boolean handOffs) {
    Report report = load(fault, new Mix(CALL, 2, departures, forgets, handOffs, false), AT_MOST);
    System.out.printf(
        "mutant %s: flagged %s within %,d calls%n", fault, rules(report), report.calls());
    assertThat(rules(report)).contains(rule);
  }

  @Test
  void check_joinsTheRunningFlightInNext_isFlagged() {
    Report report =
        new Load(
                Workload.real(Freshness.RUNNING, null),
                new Mix(EnumSet.allOf(Kind.class), 2, false, false, false, false),
                Freshness.NEXT,
                false,
                3)
            .run(AT_MOST, 1);
    assertThat(rules(report)).containsExactly(Rule.P3);
  }

  private static Report load(Fault fault, Mix mix, long calls) {
    return new Load(
            (listener, executor, handOffOn) -> new BrokenSingleFlight<>(fault, listener, handOffOn),
            mix,
            Freshness.RUNNING,
            false,
            3)
        .run(calls, 1);
  }

  private static Set<Rule> rules(Report report) {
    return report.violations().stream().map(Violation::rule).collect(Collectors.toSet());
  }
}
