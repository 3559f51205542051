package io.singleflight.peers;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** P4: however the work ends, the flight lands and the key is free. */
class AlwaysLandsTest extends PeerRegression {

  /**
   * The clean-up came after the function instead of in any case, so a function that threw left its
   * entry behind, and every later call waited on it for ever. Found in smallstep/singleflight,
   * groupcache, AyakuraYuki/singleflight and p-memoize.
   */
  @ParameterizedTest
  @EnumSource
  void call_workThrows_removesTheEntry(Call.Kind kind) throws Exception {
    Throwable failure = new Exception("a checked exception that nobody declared");
    Call leader = kind.begin(flights, "a", () -> failing(failure));
    begun.await();
    gate.countDown();
    assertThat(leader.failure()).isSameAs(failure);
    assertThat(flights.inFlight()).isEmpty();
    assertThat(kind.begin(flights, "a", () -> 7).value()).isEqualTo(7);
  }

  /**
   * Only exceptions were caught, so an {@code Error} of the leader's passed by the code that
   * releases the followers, and they hung. Found in lehoangtran289's library.
   */
  @ParameterizedTest
  @EnumSource
  void call_leaderThrowsError_releasesItsFollowers(Call.Kind kind) throws Exception {
    Error error = new StackOverflowError("thrown on purpose");
    Call leader = kind.begin(flights, "a", () -> failing(error));
    begun.await();
    Call follower = kind.begin(flights, "a", this::count);
    Call.awaitAboard(flights, 2);
    gate.countDown();
    assertThat(leader.failure()).isSameAs(error);
    assertThat(follower.failure()).isSameAs(error);
    assertThat(executions).hasValue(1);
  }

  /**
   * A batch that panicked cleaned up after its first key and not after the others, whose callers
   * hung. Found in singleflightx.
   */
  @Test
  void callAll_workThrows_releasesEveryKey() throws Exception {
    Error error = new AssertionError("thrown on purpose");
    List<String> keys = List.of("a", "b", "c");
    Call batch =
        Call.onThread(() -> flights.callAll(keys, k -> Map.of("a", failing(error))).get("a"));
    begun.await();
    List<CompletableFuture<Integer>> followers =
        keys.stream().map(key -> flights.submit(key, k -> count())).toList();
    gate.countDown();
    assertThat(batch.failure()).isSameAs(error);
    for (CompletableFuture<Integer> follower : followers) {
      assertThat(Call.failureOf(follower)).isSameAs(error);
    }
    assertThat(flights.inFlight()).isEmpty();
    for (String key : keys) {
      assertThat(flights.call(key, k -> 7)).isEqualTo(7);
    }
  }
}
