package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.FlightListener;
import io.singleflight.Freshness;
import io.singleflight.InFlight;
import io.singleflight.SingleFlight;
import io.singleflight.TooManyFollowersException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The options, {@code currentKey} and {@code inFlight}. */
public abstract class OptionsContract extends Contract {

  // The limit of followers

  private static final List<Kind> LIMITED =
      List.of(Kind.CALL, Kind.TIMED_CALL, Kind.SUBMIT, Kind.CALL_ASYNC);

  private void assertFull(Case like, SingleFlight<Object, Object> flights, int max)
      throws Exception {
    int aboard = callers(flights);
    for (Kind kind : LIMITED) {
      GatedWork unused = gated();
      assertThat(start(kind, like.threads(), flights, unused).failure())
          .isInstanceOf(TooManyFollowersException.class)
          .isInstanceOf(RejectedExecutionException.class)
          .hasMessageContaining("key k of singleflight")
          .hasMessageContaining("its " + max + " followers");
      assertThat(unused.executions()).isZero();
    }
    assertThat(callers(flights)).isEqualTo(aboard);
  }

  @ParameterizedTest
  @MethodSource(Case.RUNNING)
  void maxFollowers_reached_refusesOneMoreUntilOneLeaves(Case like) throws Exception {
    Scene scene = new Scene(like, 2, gated(), options -> options.maxFollowers(2));
    assertFull(like, scene.flights, 2);
    GatedWork unused = gated();
    Caller batch = start(Kind.CALL_ALL, like.threads(), scene.flights, unused);
    awaitCallers(scene.flights, 4);
    batch.leave();
    batch.failure();
    scene.followers.get(0).leave();
    scene.followers.get(0).failure();
    awaitCallers(scene.flights, 2);
    Caller another = start(like.follower(), like.threads(), scene.flights, unused);
    awaitCallers(scene.flights, 3);
    assertFull(like, scene.flights, 2);
    scene.leadersWork.returns("shared");
    assertThat(another.value()).isEqualTo("shared");
    assertThat(scene.leader.value()).isEqualTo("shared");
    assertThat(unused.executions()).isZero();
  }

  /** One of those who wait will lead; the running flight is not joined, hence has no followers. */
  @ParameterizedTest
  @MethodSource(Case.NEXT)
  void maxFollowers_ofTheWaitingFlight_refusesOneMoreUntilOneLeaves(Case like) throws Exception {
    SingleFlight<Object, Object> flights =
        instance(options -> options.freshness(Freshness.NEXT).maxFollowers(1));
    GatedWork running = gated();
    Caller ahead = start(Kind.CALL, Threads.PLATFORM, flights, running);
    running.awaitBegun();
    GatedWork work = GatedWork.returning("fresh");
    Caller first = start(like.leader(), like.threads(), flights, work);
    awaitCallers(flights, 2);
    first.awaitParked();
    Caller second = start(like.follower(), like.threads(), flights, work);
    awaitCallers(flights, 3);
    assertFull(like, flights, 1);
    Caller batch = start(Kind.CALL_ALL, like.threads(), flights, work);
    awaitCallers(flights, 4);
    batch.leave();
    batch.failure();
    first.leave();
    first.failure();
    awaitCallers(flights, 2);
    Caller third = start(like.follower(), like.threads(), flights, work);
    awaitCallers(flights, 3);
    assertFull(like, flights, 1);
    running.returns("stale");
    assertThat(ahead.value()).isEqualTo("stale");
    assertThat(second.value()).isEqualTo("fresh");
    assertThat(third.value()).isEqualTo("fresh");
    assertThat(work.executions()).isEqualTo(1);
  }

  /** A leader that has left holds no place, and leaves none behind. */
  @ParameterizedTest
  @MethodSource(Case.LEAVABLE_RUNNING)
  void maxFollowers_leaderHasLeft_exactlyThatManyFit(Case like) throws Exception {
    Scene scene = new Scene(like, 1, gated(), options -> options.maxFollowers(2));
    scene.leader.leave();
    scene.leader.failure();
    awaitCallers(scene.flights, 1);
    List<Caller> followers = new ArrayList<>(scene.followers);
    GatedWork unused = gated();
    followers.add(start(like.follower(), like.threads(), scene.flights, unused));
    awaitCallers(scene.flights, 2);
    assertFull(like, scene.flights, 2);
    Caller leaver = followers.remove(0);
    leaver.leave();
    leaver.failure();
    awaitCallers(scene.flights, 1);
    followers.add(start(like.follower(), like.threads(), scene.flights, unused));
    awaitCallers(scene.flights, 2);
    assertFull(like, scene.flights, 2);
    scene.leadersWork.returns("shared");
    for (Caller follower : followers) {
      assertThat(follower.value()).isEqualTo("shared");
    }
    assertThat(unused.executions()).isZero();
  }

  /** Of those aboard after a hand-off one leads. */
  @ParameterizedTest
  @MethodSource(Case.RUNNING)
  void maxFollowers_afterAHandOff_exactlyThatManyFit(Case like) throws Exception {
    Scene scene = new Scene(like, 2, gated(), options -> options.maxFollowers(2));
    scene.leadersWork.fails(new InterruptedException());
    scene.leader.failure();
    awaitThat(() -> assertThat(scene.followersExecutions()).isEqualTo(1));
    Caller another = start(like.follower(), like.threads(), scene.flights, gated());
    awaitCallers(scene.flights, 3);
    assertFull(like, scene.flights, 2);
    scene.followersWouldReturn("handed off");
    assertThat(another.value()).isEqualTo("handed off");
  }

  /** The same while the executor has not begun the work of the one that leads now. */
  @ParameterizedTest
  @MethodSource("io.singleflight.contract.OptionsContract#leavableRunningLeaders")
  void maxFollowers_handedOffAndQueued_exactlyThatManyFit(Case like) throws Exception {
    ExecutorService one = singleThread();
    CompletableFuture<Void> busy = new CompletableFuture<>();
    one.execute(busy::join);
    try {
      Scene scene =
          new Scene(
              new Case(Kind.CALL, like.leader(), Freshness.RUNNING, like.threads()),
              2,
              gated(),
              options -> options.maxFollowers(2).executor(one));
      scene.leadersWork.fails(new InterruptedException());
      scene.leader.failure();
      awaitCallers(scene.flights, 2);
      Caller another = start(Kind.CALL, like.threads(), scene.flights, gated());
      awaitCallers(scene.flights, 3);
      assertFull(like, scene.flights, 2);
      assertThat(scene.followersExecutions()).isZero();
      scene.followersWouldReturn("handed off");
      busy.complete(null);
      assertThat(another.value()).isEqualTo("handed off");
    } finally {
      busy.complete(null);
    }
  }

  /** Whoever comes to a flight that only batches are aboard of, and that nobody performs, leads. */
  @ParameterizedTest
  @MethodSource("io.singleflight.contract.OptionsContract#limitedLeaders")
  void maxFollowers_onlyBatchesAboardThatWaitElsewhere_admitsALeader(Case like) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.maxFollowers(0));
    GatedWork elsewhere = gated();
    start(Kind.CALL, Threads.PLATFORM, flights, "elsewhere", elsewhere);
    GatedWork failing = gated();
    Caller failed = start(Kind.CALL, Threads.PLATFORM, flights, failing);
    elsewhere.awaitBegun();
    failing.awaitBegun();
    List<Future<Map<Object, Object>>> batches = new ArrayList<>();
    ExecutorService threads = threads();
    for (int i = 0; i < 2; i++) {
      batches.add(
          threads.submit(() -> flights.callAll(List.of("elsewhere", KEY), keys -> Map.of())));
    }
    awaitCallers(flights, 6);
    failed.leave();
    failed.failure();
    awaitCallers(flights, 5);
    GatedWork work = gated();
    Caller leader = start(like.leader(), like.threads(), flights, work);
    work.awaitBegun();
    assertFull(like, flights, 0);
    work.returns("led");
    assertThat(leader.value()).isEqualTo("led");
    elsewhere.returns("elsewhere");
    for (Future<Map<Object, Object>> batch : batches) {
      assertThat(batch.get(20, TimeUnit.SECONDS)).containsEntry(KEY, "led");
    }
  }

  static Stream<Case> leavableRunningLeaders() {
    return Case.leavableLeaders().filter(like -> like.freshness() == Freshness.RUNNING);
  }

  static Stream<Case> limitedLeaders() {
    return Case.running()
        .filter(like -> like.leader() == like.follower() && LIMITED.contains(like.leader()));
  }

  /** Nobody aboard can be told to perform yet, since their listeners are slow: one will lead. */
  @Test
  void maxFollowers_handedOffWhileListenersAreSlow_exactlyThatManyFit() throws Exception {
    CountDownLatch slow = new CountDownLatch(1);
    FlightListener<Object> listener =
        new FlightListener<>() {
          @Override
          public void joined(Object key, int callers) {
            try {
              slow.await();
            } catch (InterruptedException ended) {
              Thread.currentThread().interrupt();
            }
          }
        };
    try {
      SingleFlight<Object, Object> flights =
          instance(options -> options.maxFollowers(1).listener(listener));
      GatedWork failing = gated();
      Caller failed = start(Kind.CALL, Threads.PLATFORM, flights, failing);
      failing.awaitBegun();
      GatedWork work = GatedWork.returning("led");
      Caller first = start(Kind.CALL, Threads.PLATFORM, flights, work);
      awaitCallers(flights, 2);
      failed.leave();
      failed.failure();
      awaitCallers(flights, 1);
      Caller second = start(Kind.CALL, Threads.PLATFORM, flights, work);
      awaitCallers(flights, 2);
      assertFull(new Case(Kind.CALL, Kind.CALL, Freshness.RUNNING, Threads.PLATFORM), flights, 1);
      slow.countDown();
      assertThat(first.value()).isEqualTo("led");
      assertThat(second.value()).isEqualTo("led");
    } finally {
      slow.countDown();
    }
  }

  // The age up to which flights are joined

  @ParameterizedTest
  @MethodSource(Case.RUNNING)
  void maxJoinAge_exceeded_startsANewFlightAndTheOldOneGoesOn(Case like) throws Exception {
    SingleFlight<Object, Object> flights =
        instance(options -> options.maxJoinAge(Duration.ofNanos(1)));
    GatedWork stuck = gated();
    Caller old = start(like.leader(), like.threads(), flights, stuck);
    stuck.awaitBegun();
    awaitThat(
        () -> assertThat(flights.inFlight().get(0).age()).isGreaterThan(Duration.ofMillis(1)));
    GatedWork pending = gated();
    Caller newer = start(like.follower(), like.threads(), flights, pending);
    pending.awaitBegun();
    assertThat(flights.inFlight()).singleElement().extracting(InFlight::callers).isEqualTo(1);
    stuck.returns("old");
    assertThat(old.value()).isEqualTo("old");
    assertThat(flights.inFlight()).hasSize(1);
    pending.returns("newer");
    assertThat(newer.value()).isEqualTo("newer");
  }

  @ParameterizedTest
  @MethodSource(Case.RUNNING)
  void maxJoinAge_notReached_isJoined(Case like) throws Exception {
    Scene scene = new Scene(like, 2, gated(), options -> options.maxJoinAge(Duration.ofDays(1)));
    scene.leadersWork.returns("shared");
    assertThat(scene.leader.value()).isEqualTo("shared");
    for (Caller follower : scene.followers) {
      assertThat(follower.value()).isEqualTo("shared");
    }
    assertThat(scene.followersExecutions()).isZero();
  }

  @Test
  void maxFollowers_zero_refusesTheFirst() throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.maxFollowers(0));
    GatedWork work = gated();
    Caller leader = start(Kind.CALL, Threads.PLATFORM, flights, work);
    work.awaitBegun();
    assertThat(flights.submit(KEY, key -> 1)).isCompletedExceptionally();
    work.returns(1);
    assertThat(leader.value()).isEqualTo(1);
  }

  @Test
  void builder_badOptions_areRefusedNamingTheValue() {
    assertThatThrownBy(() -> SingleFlight.builder().name(" "))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> SingleFlight.builder().name(null))
        .isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> SingleFlight.builder().maxFollowers(-1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("-1");
    for (Duration age : List.of(Duration.ZERO, Duration.ofSeconds(-3))) {
      assertThatThrownBy(() -> SingleFlight.builder().maxJoinAge(age))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining(age.toString());
    }
    assertThatThrownBy(() ->
            create(options -> options.freshness(Freshness.NEXT).maxJoinAge(Duration.ofSeconds(1))))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("maxJoinAge")
        .hasMessageContaining("NEXT");
    assertThatThrownBy(() -> SingleFlight.builder().executor(null))
        .isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> SingleFlight.builder().freshness(null))
        .isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> SingleFlight.builder().handOffOn(null))
        .isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> SingleFlight.builder().listener(null))
        .isInstanceOf(NullPointerException.class);
  }

  // Executors

  @Test
  void executor_inline_servesEveryKind() throws Exception {
    for (Freshness freshness : Freshness.values()) {
      SingleFlight<Object, Object> flights =
          instance(options -> options.freshness(freshness).executor(Runnable::run));
      assertThat(flights.submit(KEY, key -> 1).get()).isEqualTo(1);
      assertThat(flights.call(KEY, Duration.ofSeconds(20), key -> 2)).isEqualTo(2);
    }
    for (Kind leader : List.of(Kind.CALL, Kind.CALL_ASYNC, Kind.CALL_ALL)) {
      for (Kind follower : Kind.values()) {
        for (Freshness freshness : Freshness.values()) {
          Scene scene =
              new Scene(
                  new Case(leader, follower, freshness, Threads.PLATFORM),
                  2,
                  gated(),
                  options -> options.executor(Runnable::run));
          scene.leadersWork.returns("shared");
          assertThat(scene.leader.value()).isEqualTo("shared");
          assertThat(scene.followers.get(0).value()).isEqualTo("shared");
          assertThat(scene.followers.get(1).value()).isEqualTo("shared");
        }
      }
    }
  }

  @Test
  void executor_rejectsTheHeir_allGetTheRejection() throws Exception {
    RejectedExecutionException refusal = new RejectedExecutionException("full");
    SingleFlight<Object, Object> flights =
        instance(options ->
            options.executor(task -> {
              throw refusal;
            }));
    GatedWork work = gated();
    Caller leader = start(Kind.CALL, Threads.PLATFORM, flights, work);
    work.awaitBegun();
    Caller heir = start(Kind.SUBMIT, Threads.PLATFORM, flights, gated());
    awaitCallers(flights, 2);
    Caller other = start(Kind.CALL, Threads.PLATFORM, flights, gated());
    awaitCallers(flights, 3);
    leader.thread().interrupt();
    assertThat(leader.failure()).isInstanceOf(InterruptedException.class);
    assertThat(heir.failure()).isSameAs(refusal);
    assertThat(other.failure()).isSameAs(refusal);
  }

  @Test
  void executor_discards_nobodyHangsForEver() throws Exception {
    ThreadPoolExecutor discarding =
        new ThreadPoolExecutor(
            1,
            1,
            1,
            TimeUnit.SECONDS,
            new SynchronousQueue<>(),
            new ThreadPoolExecutor.DiscardPolicy());
    CountDownLatch done = new CountDownLatch(1);
    discarding.execute(() -> {
      try {
        done.await();
      } catch (InterruptedException ended) {
        Thread.currentThread().interrupt();
      }
    });
    try {
      SingleFlight<Object, Object> flights = instance(options -> options.executor(discarding));
      for (Kind kind : List.of(Kind.SUBMIT, Kind.TIMED_CALL)) {
        Caller leader = start(kind, Threads.PLATFORM, flights, gated());
        awaitCollected(leader);
        assertThat(leader.failure()).isInstanceOf(RejectedExecutionException.class);
      }
      // A follower's future whose delivery is discarded.
      GatedWork work = gated();
      Caller leader = start(Kind.CALL, Threads.PLATFORM, flights, work);
      work.awaitBegun();
      Caller follower = start(Kind.SUBMIT, Threads.PLATFORM, flights, gated());
      awaitCallers(flights, 2);
      work.returns("landed");
      assertThat(leader.value()).isEqualTo("landed");
      awaitCollected(follower);
      assertThat(follower.value()).isEqualTo("landed");
    } finally {
      done.countDown();
      discarding.shutdownNow();
    }
  }

  @Test
  void executor_shutDownNow_nobodyHangsForEver() throws Exception {
    ThreadPoolExecutor one =
        new ThreadPoolExecutor(1, 1, 1, TimeUnit.SECONDS, new LinkedBlockingQueue<>());
    SingleFlight<Object, Object> flights = instance(options -> options.executor(one));
    GatedWork stuck = stubborn();
    Caller running = start(Kind.SUBMIT, Threads.PLATFORM, flights, "running", stuck);
    stuck.awaitBegun();
    Caller queued = start(Kind.SUBMIT, Threads.PLATFORM, flights, "queued", gated());
    awaitCallers(flights, 2);
    one.shutdownNow();
    awaitCollected(queued);
    assertThat(queued.failure()).isInstanceOf(RejectedExecutionException.class);
    stuck.returns("done");
    assertThat(running.value()).isEqualTo("done");
  }

  private static void awaitCollected(Caller caller) {
    await(() -> {
      System.gc();
      return caller.hasEnded();
    });
  }

  @Test
  void executor_default_namesItsThreads() throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.name("prices"));
    assertThat(flights.submit(KEY, key -> Thread.currentThread().getName()).get())
        .asString()
        .startsWith("prices-");
    assertThat(flights.submit(KEY, key -> Thread.currentThread().isDaemon()).get()).isEqualTo(true);
  }

  // The current key

  @Test
  void currentKey_insideNestedWorks_isThatOfTheInstance() throws Exception {
    SingleFlight<Object, Object> outer = instance();
    SingleFlight<Object, Object> inner = instance();
    Object mine = new String("a");
    outer.call(
        mine,
        a -> {
          assertThat(outer.currentKey()).isSameAs(mine);
          assertNoCurrentKey(inner);
          inner.call(
              "b",
              b -> {
                assertThat(outer.currentKey()).isSameAs(mine);
                assertThat(inner.currentKey()).isEqualTo("b");
                outer.call(
                    "c",
                    c -> {
                      assertThat(outer.currentKey()).isEqualTo("c");
                      assertThat(inner.currentKey()).isEqualTo("b");
                      return 1;
                    });
                outer.callAll(
                    List.of("d"),
                    keys -> {
                      assertNoCurrentKey(outer);
                      return Map.of();
                    });
                assertThat(outer.currentKey()).isSameAs(mine);
                return 1;
              });
          assertNoCurrentKey(inner);
          assertThatThrownBy(() ->
                  outer.call(
                      "e",
                      e -> {
                        throw new ArithmeticException();
                      }))
              .isInstanceOf(ArithmeticException.class);
          assertThat(outer.currentKey()).isSameAs(mine);
          return 1;
        });
    assertNoCurrentKey(outer);
    assertThat(outer.submit("s", key -> outer.currentKey()).get()).isEqualTo("s");
    assertThat(outer.call("t", Duration.ofSeconds(20), key -> outer.currentKey())).isEqualTo("t");
    assertThat(
            outer
                .callAsync("f", key -> CompletableFuture.completedFuture(outer.currentKey()))
                .get())
        .isEqualTo("f");
    assertThatThrownBy(() ->
            outer
                .callAsync(
                    "f",
                    key -> {
                      throw new AssertionError();
                    })
                .get())
        .isInstanceOf(ExecutionException.class);
    assertNoCurrentKey(outer);
  }

  /** What is told of a work, and asked about it, is not inside it, though on its thread. */
  @ParameterizedTest
  @EnumSource(Kind.class)
  void currentKey_onceTheWorkHasFailed_hasNoAnswer(Kind kind) throws Exception {
    AtomicReference<SingleFlight<Object, Object>> asked = new AtomicReference<>();
    List<String> without = new CopyOnWriteArrayList<>();
    SingleFlight<Object, Object> flights =
        instance(options ->
            options
                .handOffOn(failure -> {
                  assertNoCurrentKey(asked.get());
                  return without.add("predicate");
                })
                .listener(
                    new FlightListener<>() {
                      @Override
                      public void ended(Object key, Ending ending, Duration duration, int callers) {
                        assertNoCurrentKey(asked.get());
                        without.add("listener");
                      }
                    }));
    asked.set(flights);
    Exception failure = new IllegalStateException("its own");
    GatedWork work =
        GatedWork.doing(() -> {
          throw failure;
        });
    assertThat(start(kind, Threads.PLATFORM, flights, work).failure()).isSameAs(failure);
    await(() -> without.size() == 2);
    assertThat(without).containsExactly("predicate", "listener");
  }

  private static void assertNoCurrentKey(SingleFlight<Object, Object> flights) {
    assertThatThrownBy(flights::currentKey).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void work_handedOff_getsItsOwnCallersKeyObject() throws Exception {
    SingleFlight<Object, Object> flights = instance();
    for (Kind kind : List.of(Kind.CALL, Kind.TIMED_CALL, Kind.SUBMIT, Kind.CALL_ASYNC)) {
      Object leaders = new String("equal");
      Object followers = new String("equal");
      GatedWork work = gated();
      Caller leader = start(Kind.CALL, Threads.PLATFORM, flights, leaders, work);
      work.awaitBegun();
      assertThat(work.key).isSameAs(leaders);
      GatedWork own = GatedWork.returning(1);
      Caller follower = start(kind, Threads.PLATFORM, flights, followers, own);
      awaitCallers(flights, 2);
      leader.leave();
      assertThat(follower.value()).isEqualTo(1);
      assertThat(own.key).isSameAs(followers);
    }
  }

  // Snapshots

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void inFlight_aFlight_tellsKeyCallersLeaderAndState(Case like) throws Exception {
    Scene scene = new Scene(like, 2, gated());
    List<InFlight<Object>> all = scene.flights.inFlight();
    assertThat(all)
        .singleElement()
        .satisfies(flight -> {
          assertThat(flight.key()).isEqualTo(KEY);
          assertThat(flight.callers()).isEqualTo(3);
          assertThat(flight.state()).isEqualTo(InFlight.State.RUNNING);
          assertThat(flight.age()).isGreaterThanOrEqualTo(Duration.ZERO);
          assertThat(flight.leader()).isNotBlank();
          if (like.leader().performsOnItsOwnThread() && like.threads() == Threads.PLATFORM) {
            assertThat(flight.leader()).isEqualTo(scene.leader.thread().getName());
          }
        });
    assertThatThrownBy(all::clear).isInstanceOf(UnsupportedOperationException.class);
    scene.leadersWork.returns(1);
    scene.leader.value();
  }

  @Test
  void inFlight_queuedOnTheExecutor_waits() throws Exception {
    ExecutorService one = singleThread();
    SingleFlight<Object, Object> flights = instance(options -> options.executor(one));
    GatedWork running = gated();
    Caller first = start(Kind.SUBMIT, Threads.PLATFORM, flights, "a", running);
    running.awaitBegun();
    CompletableFuture<Object> second = flights.submit("b", key -> 2);
    assertThat(flights.inFlight())
        .extracting(InFlight::key, InFlight::state)
        .containsExactlyInAnyOrder(
            org.assertj.core.groups.Tuple.tuple("a", InFlight.State.RUNNING),
            org.assertj.core.groups.Tuple.tuple("b", InFlight.State.WAITING));
    running.returns(1);
    assertThat(first.value()).isEqualTo(1);
    assertThat(second.get(20, TimeUnit.SECONDS)).isEqualTo(2);
  }

  @Test
  void timedCall_deadlineWhileQueuedOnTheExecutor_holds() throws Exception {
    ExecutorService one = singleThread();
    SingleFlight<Object, Object> flights = instance(options -> options.executor(one));
    GatedWork running = gated();
    start(Kind.SUBMIT, Threads.PLATFORM, flights, "a", running);
    running.awaitBegun();
    assertThatThrownBy(() -> flights.call("b", Duration.ofMillis(5), key -> 2))
        .isInstanceOf(TimeoutException.class);
    assertThat(flights.inFlight()).hasSize(1);
  }
}
