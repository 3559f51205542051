package io.singleflight.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** P12: a caller that leaves returns at once, whatever the work is doing. */
class PromptTest extends PeerRegression {

  /**
   * The leader executed the function on its own thread and looked at its deadline only afterwards,
   * so the deadline held for followers alone. Found in smallstep/singleflight.
   */
  @Test
  void call_leadersDeadlinePassesDuringItsWork_isKept() throws Exception {
    assertThatThrownBy(() -> flights.call("a", Duration.ofMillis(1), key -> stuck()))
        .isInstanceOf(TimeoutException.class);
    assertThat(gate.getCount()).as("the work still executes").isOne();
    assertThat(flights.inFlight()).isEmpty();
  }

  /**
   * The last caller to cancel waited for the function, which was to be told first, and so was held
   * for as long as the function ignored it. Found in tailscale's singleflight.
   */
  @ParameterizedTest
  @EnumSource(names = {"TIMED_CALL", "SUBMIT", "CALL_ASYNC"})
  void call_lastCallerCancelsAStuckWork_isReleasedAtOnce(Call.Kind kind) throws Exception {
    Call first = kind.begin(flights, "a", this::stuck);
    begun.await();
    Call last = kind.begin(flights, "a", this::count);
    Call.awaitAboard(flights, 2);
    first.leave();
    last.leave();
    assertThat(first.failure())
        .isInstanceOfAny(InterruptedException.class, CancellationException.class);
    assertThat(last.failure())
        .isInstanceOfAny(InterruptedException.class, CancellationException.class);
    assertThat(gate.getCount()).as("the work still executes").isOne();
    assertThat(flights.inFlight()).isEmpty();
  }
}
