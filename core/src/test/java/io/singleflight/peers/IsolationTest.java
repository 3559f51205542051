package io.singleflight.peers;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** P5: a caller that leaves changes nothing for the others. */
class IsolationTest extends PeerRegression {

  /**
   * The function ran in the leader's context, so the leader's cancellation became the result of
   * every follower, though they were alive and willing to wait. Found in smallstep/singleflight.
   */
  @ParameterizedTest
  @EnumSource
  void call_leaderCancelled_doesNotFailItsFollower(Call.Kind kind) throws Exception {
    Call leader = kind.begin(flights, "a", this::gated);
    begun.await();
    Call follower = kind.begin(flights, "a", this::gated);
    Call.awaitAboard(flights, 2);
    leader.leave();
    assertThat(leader.failure())
        .isInstanceOfAny(InterruptedException.class, CancellationException.class);
    Call.awaitAboard(flights, 1);
    gate.countDown();
    assertThat(follower.value()).isEqualTo(executions.get());
  }

  /**
   * The flight was cancelled with its last caller but stayed in the map until its function
   * returned, so a newcomer joined it and got the cancellation of somebody else. Found in
   * tailscale's singleflight (tailscale#18919).
   */
  @ParameterizedTest
  @EnumSource(names = {"TIMED_CALL", "SUBMIT", "CALL_ASYNC"})
  void call_flightAbandonedButStillExecuting_getsAFreshFlight(Call.Kind kind) throws Exception {
    Call abandoned = kind.begin(flights, "a", this::stuck);
    begun.await();
    abandoned.leave();
    assertThat(abandoned.failure())
        .isInstanceOfAny(InterruptedException.class, CancellationException.class);
    assertThat(kind.begin(flights, "a", () -> 7).value()).isEqualTo(7);
    assertThat(gate.getCount()).as("the abandoned work still executes").isOne();
  }

  /**
   * All callers were given one future, so the cancellation by one of them was the cancellation of
   * all. Found in caffeine#870, cassandra-java-driver#1757 and #2003, and cashews.
   */
  @ParameterizedTest
  @EnumSource(names = {"SUBMIT", "CALL_ASYNC"})
  void submit_oneCallerCancelsItsFuture_reachesNobodyElse(Call.Kind kind) throws Exception {
    Call leader = kind.begin(flights, "a", this::gated);
    Call cancelled = kind.begin(flights, "a", this::gated);
    Call patient = kind.begin(flights, "a", this::gated);
    begun.await();
    cancelled.leave();
    leader.leave();
    gate.countDown();
    assertThat(patient.value()).isEqualTo(1);
    assertThat(cancelled.failure()).isInstanceOf(CancellationException.class);
    assertThat(leader.failure()).isInstanceOf(CancellationException.class);
  }

  /**
   * {@code orTimeout} was put on the future that all callers shared: the shortest patience ended
   * the wait of all. Found in spring-single-flight.
   */
  @Test
  void submit_oneCallerTimesItsFutureOut_reachesNobodyElse() throws Exception {
    CompletableFuture<Integer> patient = flights.submit("a", key -> gated());
    CompletableFuture<Integer> impatient =
        flights.submit("a", key -> gated()).orTimeout(1, TimeUnit.NANOSECONDS);
    CompletableFuture<Integer> completed = flights.submit("a", key -> gated());
    assertThat(Call.failureOf(impatient)).isInstanceOf(TimeoutException.class);
    assertThat(completed.complete(-1)).isTrue();
    Call.awaitAboard(flights, 1);
    gate.countDown();
    assertThat(patient.get()).isEqualTo(1);
  }

  /**
   * A waiter that was cancelled kept its place in the line, and the key's turn, once given to it,
   * was never passed on: the key hung. Only the cancellation of leaders had been tested. Found in
   * coil#3562.
   */
  @ParameterizedTest
  @EnumSource
  void call_waiterCancelled_doesNotBlockTheKey(Call.Kind kind) throws Exception {
    Call leader = kind.begin(flights, "a", this::gated);
    begun.await();
    Call cancelled = kind.begin(flights, "a", this::gated);
    Call.awaitAboard(flights, 2);
    Call patient = kind.begin(flights, "a", this::gated);
    Call.awaitAboard(flights, 3);
    cancelled.leave();
    assertThat(cancelled.failure())
        .isInstanceOfAny(InterruptedException.class, CancellationException.class);
    Call.awaitAboard(flights, 2);
    gate.countDown();
    assertThat(leader.value()).isEqualTo(1);
    assertThat(patient.value()).isEqualTo(1);
    assertThat(kind.begin(flights, "a", () -> 7).value()).isEqualTo(7);
  }

  /**
   * As above, at the worst moment: the waiter is cancelled while the leader's turn is passed on to
   * it. Whichever comes first, the turn must reach the next in line. Found in coil#3562.
   */
  @Test
  void call_waiterCancelledWhileAppointed_passesTheTurnOn() throws Exception {
    for (int round = 0; round < 200; round++) {
      String key = "key " + round;
      Call leader = Call.Kind.CALL.begin(flights, key, IsolationTest::forEver);
      Call.awaitAboard(flights, 1);
      Call next = Call.Kind.CALL.begin(flights, key, IsolationTest::forEver);
      Call.awaitAboard(flights, 2);
      next.awaitWaiting();
      Call last = Call.Kind.CALL.begin(flights, key, () -> 7);
      Call.awaitAboard(flights, 3);
      leader.leave();
      next.leave();
      assertThat(last.value()).isEqualTo(7);
      assertThat(leader.failure()).isInstanceOf(InterruptedException.class);
      assertThat(next.failure()).isInstanceOf(InterruptedException.class);
    }
  }

  /**
   * When the leader was cancelled, every follower that woke found nobody leading and led a flight
   * of its own: the herd was back. Found in PureWhiteWu/async_singleflight (issue 12).
   */
  @ParameterizedTest
  @EnumSource(names = {"CALL", "CALL_ALL"})
  void call_leaderCancelledWithEightFollowers_makesOneOfThemLeader(Call.Kind kind)
      throws Exception {
    Call leader = kind.begin(flights, "a", IsolationTest::forEver);
    Call.awaitAboard(flights, 1);
    List<Call> followers = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      followers.add(kind.begin(flights, "a", this::gated));
    }
    Call.awaitAboard(flights, 9);
    leader.leave();
    assertThat(leader.failure()).isInstanceOf(InterruptedException.class);
    begun.await();
    Call.awaitAboard(flights, 8);
    gate.countDown();
    for (Call follower : followers) {
      assertThat(follower.value()).isEqualTo(1);
    }
    assertThat(executions).hasValue(1);
  }

  /**
   * The interrupt that reached the leader during a work that ignored it was swallowed by the
   * library's own wait: the thread's owner could not stop it. Found in cache2k#212.
   */
  @Test
  void call_leaderInterruptedButWorkReturns_keepsTheInterrupt() throws Exception {
    AtomicBoolean kept = new AtomicBoolean();
    AtomicBoolean leaked = new AtomicBoolean();
    Call leader =
        Call.onThread(() -> {
          Integer value = flights.call("a", key -> stuck());
          kept.set(Thread.currentThread().isInterrupted());
          return value;
        });
    begun.await();
    Call follower = watchedForInterrupts(leaked);
    Call.awaitAboard(flights, 2);
    leader.leave();
    gate.countDown();
    assertThat(leader.value()).isEqualTo(1);
    assertThat(follower.value()).isEqualTo(1);
    assertThat(kept).isTrue();
    assertThat(leaked).isFalse();
  }

  /**
   * The leader's {@code InterruptedException} was handed to the waiters, whose threads nobody had
   * interrupted; one of them even set their flags. Found in guava#1122 and DanielLiu1123's library.
   */
  @Test
  void call_leaderInterrupted_doesNotInterruptItsFollower() throws Exception {
    AtomicBoolean leaked = new AtomicBoolean();
    Call leader = Call.Kind.CALL.begin(flights, "a", IsolationTest::forEver);
    Call.awaitAboard(flights, 1);
    Call follower = watchedForInterrupts(leaked);
    Call.awaitAboard(flights, 2);
    leader.leave();
    assertThat(leader.failure()).isInstanceOf(InterruptedException.class);
    assertThat(follower.value()).isEqualTo(1);
    assertThat(leaked).isFalse();
  }

  /**
   * A waiter's interrupt was swallowed: it went on waiting, or returned as if nothing had happened.
   * Found in cache2k#212 and guava#1122.
   */
  @ParameterizedTest
  @EnumSource(names = {"CALL", "TIMED_CALL", "CALL_ALL"})
  void call_followerInterrupted_isToldSo(Call.Kind kind) throws Exception {
    Call leader = Call.Kind.CALL.begin(flights, "a", this::gated);
    begun.await();
    Call follower = kind.begin(flights, "a", this::count);
    Call.awaitAboard(flights, 2);
    follower.leave();
    assertThat(follower.failure()).isInstanceOf(InterruptedException.class);
    gate.countDown();
    assertThat(leader.value()).isEqualTo(1);
  }

  private Call watchedForInterrupts(AtomicBoolean interrupted) {
    return Call.onThread(() -> {
      Integer value = flights.call("a", key -> count());
      interrupted.set(Thread.currentThread().isInterrupted());
      return value;
    });
  }

  private static Integer forEver() throws InterruptedException {
    new CountDownLatch(1).await();
    return -1;
  }
}
