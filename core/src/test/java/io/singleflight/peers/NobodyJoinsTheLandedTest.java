package io.singleflight.peers;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** P2: once a call has returned a flight's outcome, no later call joins that flight. */
class NobodyJoinsTheLandedTest extends PeerRegression {

  /**
   * The entry was removed by the last waiter to wake instead of by whoever landed the flight. While
   * one waiter was slow, newcomers joined the finished flight and kept it alive: it could become
   * immortal, and hand out ever older results. Found in janos/singleflight.
   */
  @Test
  void call_finishedFlightWithAWaiterNotYetAwake_isNotJoined() throws Exception {
    Queue<Runnable> wakeUps = new ConcurrentLinkedQueue<>();
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().executor(wakeUps::add).build();
    Call leader = Call.Kind.CALL.begin(flights, "a", this::gated);
    begun.await();
    CompletableFuture<Integer> asleep = flights.submit("a", key -> count());
    gate.countDown();
    assertThat(leader.value()).isEqualTo(1);
    assertThat(asleep).isNotDone();
    assertThat(flights.inFlight()).isEmpty();
    assertThat(flights.call("a", key -> count())).isEqualTo(2);
    wakeUps.remove().run();
    assertThat(asleep).isCompletedWithValue(1);
  }

  /**
   * The same under load: whoever calls after execution number n has been returned to anybody must
   * get a later one. Found in janos/singleflight, whose results were 159 ms stale.
   */
  @Test
  void call_underLoad_neverReturnsWhatWasReturnedBeforeItBegan() throws Exception {
    AtomicInteger returned = new AtomicInteger();
    List<Call> callers = new ArrayList<>();
    for (int caller = 0; caller < 4; caller++) {
      callers.add(
          Call.onThread(() -> {
            int violations = 0;
            for (int i = 0; i < 25_000; i++) {
              int before = returned.get();
              int value = flights.call("a", key -> count());
              violations += value > before ? 0 : 1;
              returned.accumulateAndGet(value, Math::max);
            }
            return violations;
          }));
    }
    for (Call caller : callers) {
      assertThat(caller.value()).isZero();
    }
  }

  /**
   * Waiters were told of the failure before the entry was removed, so a waiter that retried at once
   * joined the flight that had just failed, and failed again. Found in caffeine#290, caffeine#787
   * and quarkus#56148.
   */
  @ParameterizedTest
  @EnumSource
  void call_retriedAsSoonAsItFailed_doesNotJoinTheFailedFlight(Call.Kind kind) throws Exception {
    for (int round = 0; round < 50; round++) {
      String key = "key " + round;
      CountDownLatch failNow = new CountDownLatch(1);
      Call leader =
          kind.begin(
              flights,
              key,
              () -> {
                failNow.await();
                throw new IllegalStateException("thrown on purpose");
              });
      Call.awaitAboard(flights, 1);
      List<Call> retrying = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        retrying.add(
            Call.onThread(() -> {
              assertThat(kind.begin(flights, key, this::count).failure())
                  .isInstanceOf(IllegalStateException.class);
              return flights.call(key, k -> count());
            }));
      }
      Call.awaitAboard(flights, 5);
      failNow.countDown();
      for (Call retry : retrying) {
        assertThat(retry.value()).isPositive();
      }
      assertThat(leader.failure()).isInstanceOf(IllegalStateException.class);
    }
  }

  /** As above, where the retry comes from a callback of the failed future. */
  @Test
  void callAsync_retriedFromItsCallback_doesNotJoinTheFailedFlight() throws Exception {
    CompletableFuture<Integer> stage = new CompletableFuture<>();
    CompletableFuture<Integer> leader = flights.callAsync("a", key -> stage);
    CompletableFuture<Integer> follower = flights.callAsync("a", key -> stage);
    List<CompletableFuture<Integer>> retries = new ArrayList<>();
    for (CompletableFuture<Integer> first : List.of(leader, follower)) {
      retries.add(
          first.exceptionallyCompose(
              failure -> flights.callAsync("a", key -> CompletableFuture.completedFuture(7))));
    }
    stage.completeExceptionally(new IllegalStateException("thrown on purpose"));
    for (CompletableFuture<Integer> retry : retries) {
      assertThat(retry.get()).isEqualTo(7);
    }
  }

  /**
   * A flight that ended removed whatever its key mapped to. One that had been superseded so evicted
   * its successor, and the next caller ran the work beside it. Found in .NET's HybridCache, Jaskey
   * and the synchronous path of lehoangtran289's library.
   */
  @Test
  void forget_oldFlightLandsLater_leavesItsSuccessorInPlace() throws Exception {
    Call old = Call.Kind.CALL.begin(flights, "a", this::gated);
    begun.await();
    flights.forget("a");
    CompletableFuture<Integer> stage = new CompletableFuture<>();
    CompletableFuture<Integer> successor = flights.callAsync("a", key -> stage);
    gate.countDown();
    assertThat(old.value()).isEqualTo(1);
    CompletableFuture<Integer> newcomer = flights.submit("a", key -> count());
    Call.awaitAboard(flights, 2);
    stage.complete(7);
    assertThat(successor.get()).isEqualTo(7);
    assertThat(newcomer.get()).isEqualTo(7);
  }

  /** As above, where the old flight was abandoned and its work ends only later. */
  @Test
  void cancel_abandonedWorkEndsLater_leavesTheSuccessorInPlace() throws Exception {
    ExecutorService executor = Executors.newSingleThreadExecutor();
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().executor(executor).build();
    CompletableFuture<Integer> abandoned = flights.submit("a", key -> stuck());
    begun.await();
    abandoned.cancel(true);
    CompletableFuture<Integer> stage = new CompletableFuture<>();
    CompletableFuture<Integer> successor = flights.callAsync("a", key -> stage);
    gate.countDown();
    executor.shutdown();
    assertThat(executor.awaitTermination(20, TimeUnit.SECONDS)).isTrue();
    CompletableFuture<Integer> newcomer = flights.submit("a", key -> count());
    Call.awaitAboard(flights, 2);
    stage.complete(7);
    assertThat(successor.get()).isEqualTo(7);
    assertThat(newcomer.get()).isEqualTo(7);
  }

  /**
   * A time-to-live meant for results also evicted flights in progress: a slow flight was dropped
   * and its work ran a second time beside it. Found in DarshanAguru's library.
   */
  @Test
  void call_flightOutlivesManyOthers_isStillJoined() throws Exception {
    Call leader = Call.Kind.CALL.begin(flights, "a", this::gated);
    begun.await();
    for (int other = 0; other < 10_000; other++) {
      flights.call("other " + other, key -> 0);
    }
    System.gc();
    Call late = Call.Kind.CALL.begin(flights, "a", this::count);
    Call.awaitAboard(flights, 2);
    gate.countDown();
    assertThat(leader.value()).isEqualTo(1);
    assertThat(late.value()).isEqualTo(1);
    assertThat(executions).hasValue(1);
  }

  /**
   * As above, where the age of flights is limited on request: one that is too old is joined no
   * more, but lives on for those aboard, and its end leaves its successor in place.
   */
  @Test
  void call_flightOlderThanMaxJoinAge_livesOnForItsCallers() throws Exception {
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().maxJoinAge(Duration.ofNanos(1)).build();
    Call old = Call.Kind.CALL.begin(flights, "a", this::gated);
    begun.await();
    Call.soon().until(() -> flights.inFlight().get(0).age().toNanos() > 1);
    CompletableFuture<Integer> stage = new CompletableFuture<>();
    CompletableFuture<Integer> successor = flights.callAsync("a", key -> stage);
    gate.countDown();
    assertThat(old.value()).isEqualTo(1);
    Call.awaitAboard(flights, 1);
    stage.complete(7);
    assertThat(successor.get()).isEqualTo(7);
  }
}
