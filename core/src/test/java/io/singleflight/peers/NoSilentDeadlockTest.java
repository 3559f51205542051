package io.singleflight.peers;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.FlightDeadlockException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** P7: a call that could only wait for itself throws at once. */
class NoSilentDeadlockTest extends PeerRegression {

  /**
   * A work that asked for its own key waited for its own end. Found in smallstep/singleflight,
   * golang.org/x/sync, lehoangtran289's library, JetCache and Cachex.
   */
  @ParameterizedTest
  @EnumSource(names = {"CALL", "TIMED_CALL", "CALL_ALL"})
  void call_sameKeyInsideItsWork_throwsInsteadOfHanging(Call.Kind kind) throws Exception {
    Call call =
        kind.begin(
            flights,
            "a",
            () -> flights.callAll(List.of("a"), keys -> Map.of("a", count())).get("a"));
    assertThat(call.failure()).isInstanceOf(FlightDeadlockException.class);
    call = kind.begin(flights, "a", () -> flights.call("a", key -> count()));
    assertThat(call.failure()).isInstanceOf(FlightDeadlockException.class);
    call = kind.begin(flights, "a", () -> flights.call("a", Call.A_DAY, key -> count()));
    assertThat(call.failure()).isInstanceOf(FlightDeadlockException.class);
    assertThat(executions).hasValue(0);
    assertThat(flights.inFlight()).isEmpty();
  }

  /**
   * The work for a asked for b while the work for b asked for a: each waited for the other, and
   * both keys hung. Found in the same libraries.
   */
  @Test
  void call_twoWorksAskForEachOther_throwsInsteadOfHanging() throws Exception {
    for (Call.Kind kind : List.of(Call.Kind.CALL, Call.Kind.TIMED_CALL, Call.Kind.CALL_ALL)) {
      CountDownLatch both = new CountDownLatch(2);
      Call ab = kind.begin(flights, "a", () -> meetAndAskFor("b", both));
      Call ba = kind.begin(flights, "b", () -> meetAndAskFor("a", both));
      assertThat(ab.failure()).isInstanceOf(FlightDeadlockException.class);
      assertThat(ba.failure()).isInstanceOf(FlightDeadlockException.class);
      assertThat(flights.inFlight()).isEmpty();
    }
  }

  private Integer meetAndAskFor(String key, CountDownLatch both) throws InterruptedException {
    both.countDown();
    both.await();
    return flights.call(key, k -> count());
  }
}
