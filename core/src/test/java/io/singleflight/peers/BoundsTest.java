package io.singleflight.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.SingleFlight;
import io.singleflight.TooManyFollowersException;
import java.time.Duration;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;

/**
 * One leader was stuck, and with it all who asked for its key: three hours and 1,129 goroutines in
 * souin#849; also guava#3232 and netty#17039. There was no bound to set. Here there are three.
 */
class BoundsTest extends PeerRegression {

  /** A stuck flight is joined no more once it is too old: the next caller gets a fresh one. */
  @Test
  void call_leaderStuckForLongerThanMaxJoinAge_isNotWaitedForByNewcomers() throws Exception {
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().maxJoinAge(Duration.ofNanos(1)).build();
    Call stuck = Call.Kind.CALL.begin(flights, "a", this::stuck);
    begun.await();
    Call.soon().until(() -> flights.inFlight().get(0).age().toNanos() > 1);
    assertThat(flights.call("a", key -> 7)).isEqualTo(7);
    assertThat(gate.getCount()).as("the leader is still stuck").isOne();
    gate.countDown();
    assertThat(stuck.value()).isEqualTo(1);
  }

  /** A stuck flight does not pile callers up: one too many is refused at once. */
  @Test
  void call_leaderStuckWithMaxFollowers_pilesNoMoreUp() throws Exception {
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().maxFollowers(2).build();
    Call stuck = Call.Kind.CALL.begin(flights, "a", this::stuck);
    begun.await();
    Call first = Call.Kind.CALL.begin(flights, "a", this::count);
    Call second = Call.Kind.SUBMIT.begin(flights, "a", this::count);
    Call.awaitAboard(flights, 3);
    for (Call.Kind kind :
        new Call.Kind[] {
          Call.Kind.CALL, Call.Kind.TIMED_CALL, Call.Kind.SUBMIT, Call.Kind.CALL_ASYNC
        }) {
      assertThat(kind.begin(flights, "a", this::count).failure())
          .isInstanceOf(TooManyFollowersException.class);
    }
    gate.countDown();
    assertThat(stuck.value()).isEqualTo(1);
    assertThat(first.value()).isEqualTo(1);
    assertThat(second.value()).isEqualTo(1);
  }

  /** A caller's own timeout holds against a stuck leader, whatever kind of call that made. */
  @Test
  void call_leaderStuckAndTimeoutPasses_isReleased() throws Exception {
    for (Call.Kind kind : Call.Kind.values()) {
      String key = "led by " + kind;
      kind.begin(flights, key, this::stuck);
      Call.soon().until(() -> flights.inFlight().stream().anyMatch(each -> each.key().equals(key)));
      assertThatThrownBy(() -> flights.call(key, Duration.ofNanos(1), k -> count()))
          .isInstanceOf(TimeoutException.class);
    }
    assertThat(gate.getCount()).as("the leaders are still stuck").isOne();
  }
}
