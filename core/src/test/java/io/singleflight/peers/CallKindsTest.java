package io.singleflight.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The kinds of calls, on one table of flights. */
class CallKindsTest extends PeerRegression {

  /**
   * The key was put into the context under its type, so a nested caller with keys of the same type
   * shadowed the outer one's: the outer work was told the wrong key. Found in
   * smallstep/singleflight.
   */
  @Test
  void currentKey_nestedInstanceWithKeysOfTheSameType_isNotShadowed() throws Exception {
    SingleFlight<String, List<String>> outer = SingleFlight.create();
    SingleFlight<String, List<String>> inner = SingleFlight.create();
    List<String> seen =
        outer.call(
            "outer",
            o -> {
              List<String> keys = new ArrayList<>();
              inner.call(
                  "inner",
                  i -> {
                    keys.add(outer.currentKey());
                    keys.add(inner.currentKey());
                    return keys;
                  });
              keys.add(outer.currentKey());
              return keys;
            });
    assertThat(seen).containsExactly("outer", "inner", "outer");
    assertThatThrownBy(outer::currentKey).isInstanceOf(IllegalStateException.class);
  }

  /**
   * Each kind of call kept entries of a type of its own in the one map, so a call met an entry of
   * another kind and crashed. Found in tailscale's singleflight.
   */
  @ParameterizedTest
  @EnumSource
  void call_keyInFlightByAnotherKind_joinsIt(Call.Kind leaderKind) throws Exception {
    Call leader = leaderKind.begin(flights, "a", this::gated);
    begun.await();
    List<Call> followers = new ArrayList<>();
    for (Call.Kind followerKind : Call.Kind.values()) {
      followers.add(followerKind.begin(flights, "a", this::count));
    }
    Call.awaitAboard(flights, 1 + followers.size());
    gate.countDown();
    assertThat(leader.value()).isEqualTo(1);
    for (Call follower : followers) {
      assertThat(follower.value()).isEqualTo(1);
    }
  }

  /**
   * The context was looked at only while waiting, so a caller that had been cancelled before it
   * arrived still started the work that nobody would wait for. Found in janos/singleflight.
   */
  @ParameterizedTest
  @EnumSource(names = {"CALL", "TIMED_CALL", "CALL_ALL"})
  void call_callerArrivesInterrupted_startsNoWork(Call.Kind kind) throws Exception {
    Call call =
        Call.onThread(() -> {
          Thread.currentThread().interrupt();
          return switch (kind) {
            case CALL -> flights.call("a", key -> count());
            case TIMED_CALL -> flights.call("a", Call.A_DAY, key -> count());
            default -> flights.callAll(List.of("a"), keys -> Map.of("a", count())).get("a");
          };
        });
    assertThat(call.failure()).isInstanceOf(InterruptedException.class);
    assertThat(executions).hasValue(0);
    assertThat(flights.inFlight()).isEmpty();
  }

  /** As above, where the deadline has passed on arrival. */
  @Test
  void call_callerArrivesPastItsDeadline_startsNoWork() {
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().executor(Runnable::run).build();
    for (Duration past : List.of(Duration.ZERO, Duration.ofNanos(-1), Duration.ofDays(-1))) {
      assertThatThrownBy(() -> flights.call("a", past, key -> count()))
          .isInstanceOf(TimeoutException.class);
    }
    assertThat(executions).hasValue(0);
    assertThat(flights.inFlight()).isEmpty();
  }
}
