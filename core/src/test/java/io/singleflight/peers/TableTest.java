package io.singleflight.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.FlightListener;
import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

/** One flight per key, who led it, and races between joining and going. */
class TableTest extends PeerRegression {

  private record Key(String text) {}

  /**
   * Each call seeded the hash anew that chose the shard of its key, so equal keys met only by luck:
   * 32 calls for one key were 13 executions. Found in tarndt/shardedsingleflight.
   */
  @Test
  void call_equalKeysFromThirtyTwoThreads_meetInOneFlight() throws Exception {
    SingleFlight<Key, Integer> flights = SingleFlight.create();
    List<Call> calls = new ArrayList<>();
    for (int i = 0; i < 32; i++) {
      calls.add(Call.onThread(() -> flights.call(new Key(new String("a")), key -> gated())));
    }
    Call.awaitAboard(flights, 32);
    gate.countDown();
    for (Call call : calls) {
      assertThat(call.value()).isEqualTo(1);
    }
    assertThat(executions).hasValue(1);
  }

  /** As above, where the table grows, and places its keys anew, while the flight is in progress. */
  @Test
  void call_equalKeyAfterTheTableHasGrown_meetsItsFlight() throws Exception {
    SingleFlight<Key, Integer> flights = SingleFlight.create();
    List<CompletableFuture<Integer>> stages = new ArrayList<>();
    for (int i = 0; i < 5_000; i++) {
      CompletableFuture<Integer> stage = new CompletableFuture<>();
      stages.add(stage);
      flights.callAsync(new Key("key " + i), key -> stage);
    }
    for (int i = 0; i < 5_000; i++) {
      flights.callAsync(new Key("key " + i), key -> CompletableFuture.completedFuture(count()));
    }
    assertThat(executions).hasValue(0);
    assertThat(flights.inFlight()).hasSize(5_000).allMatch(each -> each.callers() == 2);
    stages.forEach(stage -> stage.complete(7));
    assertThat(flights.inFlight()).isEmpty();
  }

  /**
   * The call answered only whether its result was shared, which was true for the leader also, so
   * nobody could tell who had led: metrics counted executions wrong. Found in golang/go#74880.
   */
  @Test
  void listener_leaderAndFollowers_areToldApart() throws Exception {
    Queue<String> told = new ConcurrentLinkedQueue<>();
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder()
            .listener(
                new FlightListener<String>() {
                  @Override
                  public void started(String key) {
                    told.add("started " + Thread.currentThread().getName());
                  }

                  @Override
                  public void joined(String key, int callers) {
                    told.add("joined " + Thread.currentThread().getName() + " as " + callers);
                  }

                  @Override
                  public void ended(String key, Ending ending, Duration duration, int callers) {
                    told.add("ended " + ending + " for " + callers);
                  }
                })
            .build();
    List<Call> calls = new ArrayList<>();
    for (String name : List.of("leader", "first", "second")) {
      calls.add(
          Call.onThread(() -> {
            Thread.currentThread().setName(name);
            return flights.call("a", key -> gated());
          }));
      // A caller is aboard before its listeners are told: events of two callers may cross.
      Call.soon().until(() -> told.size() == calls.size());
    }
    assertThat(flights.inFlight().get(0).leader()).isEqualTo("leader");
    gate.countDown();
    for (Call call : calls) {
      assertThat(call.value()).isEqualTo(1);
    }
    assertThat(told)
        .containsExactly(
            "started leader", "joined first as 2", "joined second as 3", "ended VALUE for 3");
  }

  /**
   * Closing a flight raced with joining it: who came in between was aboard something closed, and
   * waited for ever or failed with the cancellation of another. Here the last caller leaves while
   * another joins. Found in stream-video-android#1764.
   */
  @Test
  void cancel_lastCallerLeavesWhileAnotherJoins_neverCostsTheJoiner() throws Exception {
    AtomicInteger number = new AtomicInteger();
    race(
        5000,
        () -> {
          CompletableFuture<Integer> stage = new CompletableFuture<>();
          CompletableFuture<Integer> last = flights.callAsync("a", key -> stage);
          return new Rivals(
              () -> last.cancel(true),
              () -> {
                CompletableFuture<Integer> joiner =
                    flights.callAsync(
                        "a", key -> CompletableFuture.completedFuture(number.incrementAndGet()));
                stage.complete(0);
                assertThat(joiner.join()).isNotNegative();
              });
        });
    assertThat(flights.inFlight()).isEmpty();
  }

  /**
   * As above, where the flight is forgotten while another joins: the joiner gets the outcome of the
   * old flight or of its own, and whoever calls after the forgetting only the latter.
   */
  @Test
  void forget_whileAnotherJoins_neverCostsTheJoiner() throws Exception {
    race(
        5000,
        () -> {
          CompletableFuture<Integer> stage = new CompletableFuture<>();
          CompletableFuture<Integer> old = flights.callAsync("a", key -> stage);
          return new Rivals(
              () -> {
                flights.forget("a");
                assertThat(own().join()).isEqualTo(7);
              },
              () -> {
                CompletableFuture<Integer> joiner = own();
                stage.complete(0);
                assertThat(joiner.join()).isIn(0, 7);
                assertThat(old).isCompletedWithValue(0);
              });
        });
    assertThat(flights.inFlight()).isEmpty();
  }

  /**
   * As above, where what is closed is the executor: it may refuse the work or drop it, but the
   * caller hears of it, and the key is free.
   */
  @Test
  void shutdownNow_whileAnotherSubmits_leavesNobodyWaiting() throws Exception {
    race(
        50,
        () -> {
          ExecutorService executor = Executors.newSingleThreadExecutor();
          SingleFlight<String, Integer> flights =
              SingleFlight.<String, Integer>builder().executor(executor).build();
          return new Rivals(
              executor::shutdownNow,
              () -> {
                CompletableFuture<Integer> call = flights.submit("a", key -> 7);
                Call.soon()
                    .until(() -> {
                      System.gc();
                      return call.isDone();
                    });
                if (call.isCompletedExceptionally()) {
                  assertThatThrownBy(call::join)
                      .hasCauseInstanceOf(RejectedExecutionException.class);
                } else {
                  assertThat(call.join()).isEqualTo(7);
                }
              });
        });
  }

  private CompletableFuture<Integer> own() {
    return flights.callAsync("a", key -> CompletableFuture.completedFuture(7));
  }

  private record Rivals(Runnable one, Runnable other) {}

  /** Lets two rivals loose on each other, round after round. */
  private static void race(int rounds, Supplier<Rivals> setUp) throws Exception {
    ExecutorService thread = Executors.newSingleThreadExecutor();
    try {
      for (int round = 0; round < rounds; round++) {
        Rivals rivals = setUp.get();
        CyclicBarrier start = new CyclicBarrier(2);
        Future<?> one =
            thread.submit(() -> {
              start.await();
              rivals.one.run();
              return null;
            });
        start.await();
        rivals.other.run();
        one.get();
      }
    } finally {
      thread.shutdownNow();
    }
  }
}
