package io.singleflight.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import java.lang.ref.WeakReference;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** P9: when no call is in progress, nothing is retained, whatever happened before. */
class NothingLeftBehindTest extends PeerRegression {

  /**
   * Entries of cancelled flights were removed by the next call for their key. A key that was not
   * asked for again stayed for ever. Found in ihciah's library and moka.
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void cancel_keysNeverAskedForAgain_areNotRetained(boolean submit) {
    List<WeakReference<String>> keys = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      String key = new StringBuilder("key ").append(i).toString();
      CompletableFuture<Integer> call =
          submit
              ? flights.submit(key, k -> gated())
              : flights.callAsync(key, k -> new CompletableFuture<>());
      call.cancel(true);
      keys.add(new WeakReference<>(key));
    }
    assertThat(flights.inFlight()).isEmpty();
    Call.soon()
        .until(() -> {
          System.gc();
          return keys.stream().allMatch(key -> key.get() == null);
        });
  }

  /**
   * A waiter that timed out stayed queued. The permit that came free was given to it, and so was
   * lost to those who still waited. Found in Failsafe's {@code BulkheadImpl}.
   */
  @Test
  void call_followerTimedOut_givesItsPlaceBack() throws Exception {
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().maxFollowers(1).build();
    Call leader = Call.Kind.CALL.begin(flights, "a", this::gated);
    begun.await();
    for (int i = 0; i < 10; i++) {
      assertThatThrownBy(() -> flights.call("a", Duration.ofNanos(1), key -> count()))
          .isInstanceOf(TimeoutException.class);
    }
    Call follower = Call.Kind.CALL.begin(flights, "a", this::count);
    Call.awaitAboard(flights, 2);
    gate.countDown();
    assertThat(leader.value()).isEqualTo(1);
    assertThat(follower.value()).isEqualTo(1);
  }

  /**
   * As above, where the place is that of the next execution: it must go to who still waits, or to
   * nobody if all have gone.
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void call_nextInLineTimedOut_givesItsTurnBack(boolean anotherWaits) throws Exception {
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().freshness(Freshness.NEXT).build();
    Call running = Call.Kind.CALL.begin(flights, "a", this::gated);
    begun.await();
    assertThatThrownBy(() -> flights.call("a", Duration.ofNanos(1), key -> -1))
        .isInstanceOf(TimeoutException.class);
    CompletableFuture<Integer> impatient = flights.submit("a", key -> -1);
    CompletableFuture<Integer> patient = null;
    if (anotherWaits) {
      patient = flights.submit("a", key -> count());
    }
    impatient.cancel(true);
    gate.countDown();
    assertThat(running.value()).isEqualTo(1);
    if (patient != null) {
      assertThat(patient.get()).isEqualTo(2);
    }
    assertThat(flights.inFlight()).isEmpty();
    assertThat(flights.call("a", key -> 7)).isEqualTo(7);
  }
}
