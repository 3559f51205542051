package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.FlightListener;
import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import java.nio.channels.ClosedByInterruptException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** P5 isolation, P12 promptness, hand-off and abandonment. */
public abstract class IsolationContract extends Contract {

  // Leaving

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void follower_leaves_returnsAtOnceAndChangesNothingForTheOthers(Case like) throws Exception {
    Scene scene = new Scene(like, 3, stubborn());
    Caller leaver = scene.followers.remove(1);
    leaver.leave();
    assertThat(leaver.failure())
        .isInstanceOf(
            leaver.kind.blocks() ? InterruptedException.class : CancellationException.class);
    assertThat(leaver.end().interrupted()).isFalse();
    awaitCallers(scene.flights, 3);
    scene.leadersWork.returns("shared");
    assertThat(scene.leader.value()).isEqualTo("shared");
    for (Caller follower : scene.followers) {
      assertThat(follower.value()).isEqualTo("shared");
    }
    assertThat(scene.leadersWork.wasInterrupted()).isFalse();
    assertThat(scene.followersExecutions()).isZero();
  }

  @ParameterizedTest
  @MethodSource(Case.LEAVABLE)
  void leader_leaves_returnsAtOnceAndItsWorkGoesOnForTheFollowers(Case like) throws Exception {
    Scene scene = new Scene(like, 3, gated());
    scene.leader.leave();
    scene.leader.failure();
    awaitCallers(scene.flights, 3);
    scene.leadersWork.returns("shared");
    for (Caller follower : scene.followers) {
      assertThat(follower.value()).isEqualTo("shared");
    }
    assertThat(scene.leadersWork.wasInterrupted()).isFalse();
    assertThat(scene.followersExecutions()).isZero();
  }

  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void timedCall_timesOutAsFollower_leaves(Case like) throws Exception {
    Scene scene = new Scene(like, 0, stubborn());
    Caller joined = scene.leader;
    Object outcome = "late";
    if (like.freshness() == Freshness.NEXT) {
      // The flight that can be joined is the one that waits.
      joined = start(like.leader(), like.threads(), scene.flights, GatedWork.returning("later"));
      awaitCallers(scene.flights, 2);
      outcome = "later";
    }
    int callers = callers(scene.flights);
    GatedWork unused = gated();
    Caller hasty =
        Caller.start(
            Kind.TIMED_CALL, like.threads(), scene.flights, KEY, unused, Duration.ofMillis(5));
    assertThat(hasty.failure())
        .isInstanceOf(TimeoutException.class)
        .hasMessageContaining("key k of singleflight")
        .hasMessageContaining("PT0.005S");
    assertThat(callers(scene.flights)).isEqualTo(callers);
    scene.leadersWork.returns("late");
    assertThat(scene.leader.value()).isEqualTo("late");
    assertThat(joined.value()).isEqualTo(outcome);
    assertThat(unused.executions()).isZero();
  }

  /** The mechanism: the leader ignores its own deadline. */
  @ParameterizedTest
  @MethodSource(Case.TIMED_LEADERS)
  void timedCall_timesOutAsLeader_returnsWhateverTheWorkDoes(Case like) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(like.freshness()));
    GatedWork work = stubborn();
    Caller leader =
        Caller.start(Kind.TIMED_CALL, like.threads(), flights, KEY, work, Duration.ofMillis(5));
    assertThat(leader.failure()).isInstanceOf(TimeoutException.class);
    assertThat(flights.inFlight()).isEmpty();
  }

  @ParameterizedTest
  @MethodSource("io.singleflight.contract.IsolationContract#completions")
  void future_completedByItsCaller_leavesAndReachesNobodyElse(
      Case like, boolean leaders, String how, Consumer<CompletableFuture<Object>> complete)
      throws Exception {
    Scene scene = new Scene(like, 2, gated());
    Caller leaver = leaders ? scene.leader : scene.followers.get(0);
    complete.accept(leaver.future());
    awaitCallers(scene.flights, 2);
    leaver.end();
    scene.leadersWork.returns("shared");
    List<Caller> others = new ArrayList<>(scene.followers);
    others.add(scene.leader);
    others.remove(leaver);
    for (Caller other : others) {
      assertThat(other.value()).isEqualTo("shared");
    }
  }

  static Stream<org.junit.jupiter.params.provider.Arguments> completions() {
    Map<String, Consumer<CompletableFuture<Object>>> ways = waysToComplete();
    return Case.all()
        .filter(like -> like.threads() == Threads.PLATFORM)
        .filter(like -> like.leader() == like.follower() || like.leader() == Kind.CALL)
        .filter(like -> !like.follower().blocks())
        .flatMap(like ->
            Stream.of(false, true)
                .filter(leaders -> !(leaders && like.leader().blocks()))
                .flatMap(leaders ->
                    ways.entrySet().stream()
                        .map(way ->
                            org.junit.jupiter.params.provider.Arguments.of(
                                like, leaders, way.getKey(), way.getValue()))));
  }

  private static Map<String, Consumer<CompletableFuture<Object>>> waysToComplete() {
    Map<String, Consumer<CompletableFuture<Object>>> ways = new LinkedHashMap<>();
    ways.put("cancel", future -> future.cancel(true));
    ways.put("complete", future -> future.complete("own"));
    ways.put("completeExceptionally", future -> future.completeExceptionally(new Exception()));
    ways.put("orTimeout", future -> future.orTimeout(1, TimeUnit.MILLISECONDS));
    ways.put(
        "completeOnTimeout", future -> future.completeOnTimeout("own", 1, TimeUnit.MILLISECONDS));
    ways.put("completeAsync", future -> future.completeAsync(() -> "own"));
    ways.put("completeAsync on", future -> future.completeAsync(() -> "own", Runnable::run));
    ways.put("obtrudeValue", future -> future.obtrudeValue("own"));
    ways.put("obtrudeException", future -> future.obtrudeException(new Exception()));
    return ways;
  }

  @Test
  void future_dependentCancelled_leavesTheCallerAboard() throws Exception {
    SingleFlight<Object, Object> flights = instance();
    GatedWork work = gated();
    CompletableFuture<Object> own = flights.submit(KEY, work::perform);
    own.thenApply(value -> value).cancel(true);
    own.copy().cancel(true);
    own.minimalCompletionStage().toCompletableFuture().cancel(true);
    awaitCallers(flights, 1);
    work.returns("mine");
    assertThat(own.get(60, TimeUnit.SECONDS)).isEqualTo("mine");
  }

  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void future_callbackThatBlocks_delaysNobodyElse(Case like) throws Exception {
    Case futures = new Case(like.leader(), Kind.SUBMIT, like.freshness(), like.threads());
    Scene scene = new Scene(futures, 4, gated());
    CountDownLatch blocked = new CountDownLatch(1);
    List<Caller> busy = new ArrayList<>(scene.followers.subList(0, 3));
    if (like.leader() == Kind.SUBMIT) {
      busy.add(scene.leader);
    }
    for (Caller caller : busy) {
      caller
          .future()
          .thenAccept(value -> {
            try {
              blocked.await();
            } catch (InterruptedException ended) {
              Thread.currentThread().interrupt();
            }
          });
    }
    try {
      scene.leadersWork.returns("shared");
      assertThat(scene.followers.get(3).value()).isEqualTo("shared");
      if (!busy.contains(scene.leader)) {
        assertThat(scene.leader.value()).isEqualTo("shared");
      }
    } finally {
      blocked.countDown();
    }
  }

  // Arriving too late to start anything

  /** The executor performs at once whatever it is given. */
  @ParameterizedTest
  @MethodSource(Case.BLOCKING_LEADERS)
  void blockingCall_arrivesInterrupted_startsNoWork(Case like) throws Exception {
    SingleFlight<Object, Object> flights =
        instance(options -> options.freshness(like.freshness()).executor(Runnable::run));
    GatedWork work = GatedWork.returning(1);
    CompletableFuture<Throwable> thrown = new CompletableFuture<>();
    CompletableFuture<Boolean> flag = new CompletableFuture<>();
    like.threads()
        .start(() -> {
          Thread.currentThread().interrupt();
          try {
            switch (like.leader()) {
              case CALL -> flights.call(KEY, work::perform);
              case TIMED_CALL -> flights.call(KEY, Duration.ofHours(1), work::perform);
              case CALL_ALL -> flights.callAll(List.of(KEY), work::performBatch);
              case SUBMIT, CALL_ASYNC -> throw new AssertionError("does not block");
            }
            thrown.complete(null);
          } catch (Throwable failure) {
            thrown.complete(failure);
          }
          flag.complete(Thread.currentThread().isInterrupted());
        });
    assertThat(thrown.get(60, TimeUnit.SECONDS)).isInstanceOf(InterruptedException.class);
    assertThat(flag.get(60, TimeUnit.SECONDS)).isFalse();
    assertThat(work.executions()).isZero();
  }

  @ParameterizedTest
  @ValueSource(strings = {"PT0S", "PT-1S", "PT-2562047788015215H", "PT-0.000000001S"})
  void timedCall_noTimeLeft_startsNoWork(Duration timeout) {
    SingleFlight<Object, Object> flights = instance();
    GatedWork work = GatedWork.returning(1);
    assertThatThrownBy(() -> flights.call(KEY, timeout, work::perform))
        .isInstanceOf(TimeoutException.class);
    assertThat(work.executions()).isZero();
    assertThat(flights.inFlight()).isEmpty();
  }

  @Test
  void timedCall_longDurations_saturate() throws Exception {
    SingleFlight<Object, Object> flights = instance();
    for (Duration timeout :
        List.of(
            Duration.ofSeconds(Long.MAX_VALUE, 999_999_999),
            Duration.ofNanos(Long.MAX_VALUE),
            Duration.ofNanos(Long.MAX_VALUE - 1),
            Duration.ofDays(400_000))) {
      GatedWork work = gated();
      Caller leader = Caller.start(Kind.TIMED_CALL, Threads.PLATFORM, flights, KEY, work, timeout);
      Caller follower =
          Caller.start(Kind.TIMED_CALL, Threads.PLATFORM, flights, KEY, work, timeout);
      awaitCallers(flights, 2);
      leader.awaitParked();
      follower.awaitParked();
      work.returns("in time");
      assertThat(leader.value()).isEqualTo("in time");
      assertThat(follower.value()).isEqualTo("in time");
      assertThat(work.executions()).isEqualTo(1);
    }
    assertThatThrownBy(
            () -> flights.call(KEY, Duration.ofSeconds(Long.MIN_VALUE), key -> "too late"))
        .isInstanceOf(TimeoutException.class);
  }

  // Hand-off

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void leader_interrupted_oneOfEightFollowersPerformsForAll(Case like) throws Exception {
    Scene scene = new Scene(like, 8, gated());
    InterruptedException own = new InterruptedException("the leader's own");
    if (like.leader().performsOnItsOwnThread()) {
      scene.leader.thread().interrupt();
    } else {
      scene.leadersWork.fails(own);
    }
    assertThat(scene.leader.failure()).isInstanceOf(InterruptedException.class);
    awaitThat(() -> assertThat(scene.followersExecutions()).isEqualTo(1));
    assertThat(scene.leader.hasEnded()).isTrue();
    awaitCallers(scene.flights, 8);
    scene.followersWouldReturn("handed off");
    for (Caller follower : scene.followers) {
      assertThat(follower.value()).isEqualTo("handed off");
    }
    assertThat(scene.followersExecutions()).isEqualTo(1);
    assertThat(scene.leadersWork.executions()).isEqualTo(1);
  }

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void leader_failsForAReasonOfItsOwn_followersLeaveAndGetTheRest(Case like) throws Exception {
    Scene scene =
        new Scene(
            like, 6, gated(), options -> options.handOffOn(SecurityException.class::isInstance));
    SecurityException own = new SecurityException("the leader's own");
    scene.leadersWork.fails(own);
    assertThat(scene.leader.failure()).isSameAs(own);
    awaitThat(() -> assertThat(scene.followersExecutions()).isEqualTo(1));
    int performer = 0;
    while (scene.followersWorks.get(performer).executions() == 0) {
      performer++;
    }
    int leaver = performer == 5 ? 4 : 5;
    scene.followers.get(leaver).leave();
    scene.followers.get(leaver).failure();
    awaitCallers(scene.flights, 5);
    scene.followersWorks.get(performer).returns("handed off");
    for (int i = 0; i < 6; i++) {
      if (i != leaver) {
        assertThat(scene.followers.get(i).value()).isEqualTo("handed off");
      }
    }
  }

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void handOff_toAFollower_performsOnItsOwnThreadOrTheExecutor(Case like) throws Exception {
    Scene scene = new Scene(like, 1, gated());
    scene.leadersWork.fails(new IllegalStateException(new ClosedByInterruptException()));
    assertThat(scene.leader.failure()).hasCauseInstanceOf(ClosedByInterruptException.class);
    GatedWork work = scene.followersWorks.get(0);
    work.awaitBegun();
    assertThat(work.thread == scene.followers.get(0).thread())
        .isEqualTo(like.follower().performsOnItsOwnThread());
    work.returns("own");
    assertThat(scene.followers.get(0).value()).isEqualTo("own");
  }

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void handOff_againAndAgain_eachFollowerGetsItsOwnFailure(Case like) throws Exception {
    Scene scene = new Scene(like, 5, gated());
    InterruptedException first = new InterruptedException("0");
    scene.leadersWork.fails(first);
    assertThat(scene.leader.failure()).isSameAs(first);
    for (int i = 0; i < 5; i++) {
      int executions = i + 1;
      awaitThat(() -> assertThat(scene.followersExecutions()).isEqualTo(executions));
      int open = 0;
      while (scene.followersWorks.get(open).executions() == 0
          || scene.followers.get(open).hasEnded()) {
        open++;
      }
      InterruptedException own = new InterruptedException("own of " + open);
      scene.followersWorks.get(open).fails(own);
      assertThat(scene.followers.get(open).failure()).isSameAs(own);
    }
  }

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void handOffOn_predicateThrows_meansNo(Case like) throws Exception {
    Scene scene =
        new Scene(
            like,
            2,
            gated(),
            options ->
                options.handOffOn(failure -> {
                  throw new IllegalStateException("undecided");
                }));
    IllegalArgumentException failure = new IllegalArgumentException();
    scene.leadersWork.fails(failure);
    assertThat(scene.leader.failure()).isSameAs(failure);
    for (Caller follower : scene.followers) {
      assertThat(follower.failure()).isSameAs(failure);
    }
    assertThat(scene.followersExecutions()).isZero();
  }

  /** The interrupt flag alone makes a failure the leader's own. */
  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void leader_failsWithItsFlagSet_handsOffAndKeepsTheFlag(Case like) throws Exception {
    IllegalStateException own = new IllegalStateException("no cause");
    CountDownLatch fail = new CountDownLatch(1);
    Scene scene =
        new Scene(
            like,
            1,
            GatedWork.doing(() -> {
              Contract.await(fail, "the follower to come aboard");
              Thread.currentThread().interrupt();
              throw own;
            }));
    scene.followersWouldReturn("follower's");
    fail.countDown();
    assertThat(scene.leader.failure()).isSameAs(own);
    assertThat(scene.followers.get(0).value()).isEqualTo("follower's");
    if (like.leader().performsOnItsOwnThread()) {
      assertThat(scene.leader.end().interrupted()).isTrue();
    }
  }

  // Abandonment

  @ParameterizedTest
  @MethodSource(Case.LEAVABLE)
  void allLeave_workRefusesToDie_newcomerGetsAFreshFlightAtOnce(Case like) throws Exception {
    Scene scene = new Scene(like, 2, stubborn());
    scene.leader.leave();
    scene.leader.failure();
    for (Caller follower : scene.followers) {
      assertThat(scene.leadersWork.wasInterrupted()).isFalse();
      follower.leave();
      follower.failure();
    }
    awaitThat(() -> assertThat(scene.flights.inFlight()).isEmpty());
    if (like.leader() == Kind.CALL_ASYNC) {
      await(() -> scene.leadersWork.stage.isCancelled());
    } else {
      scene.leadersWork.awaitInterrupted();
    }
    GatedWork fresh = GatedWork.returning("fresh");
    assertThat(start(like.follower(), like.threads(), scene.flights, fresh).value())
        .isEqualTo("fresh");
    assertThat(fresh.executions()).isEqualTo(1);
    GatedWork later = gated();
    Caller successor = start(like.leader(), like.threads(), scene.flights, later);
    later.awaitBegun();
    awaitCallers(scene.flights, 1);
    scene.leadersWork.returns("nobody hears this");
    later.returns("later");
    assertThat(successor.value()).isEqualTo("later");
    assertThat(scene.followersExecutions()).isZero();
  }

  /** Those whose leader's work goes to the executor; the others' begins within the call. */
  static Stream<Case> queuedLeaders() {
    return Case.leavableLeaders().filter(like -> like.leader() != Kind.CALL_ASYNC);
  }

  @ParameterizedTest
  @MethodSource("io.singleflight.contract.IsolationContract#queuedLeaders")
  void allLeave_beforeTheWorkBegan_neverRunsIt(Case like) throws Exception {
    Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    SingleFlight<Object, Object> flights =
        instance(options -> options.freshness(like.freshness()).executor(tasks::add));
    GatedWork work = GatedWork.returning("too late");
    Caller leader = start(like.leader(), like.threads(), flights, work);
    awaitCallers(flights, 1);
    leader.leave();
    leader.failure();
    assertThat(flights.inFlight()).isEmpty();
    assertThat(tasks).isNotEmpty();
    tasks.forEach(Runnable::run);
    assertThat(work.executions()).isZero();
  }

  @ParameterizedTest
  @MethodSource(Case.LEAVABLE_LEADERS)
  void allLeave_handedOffButBeforeTheWorkBegan_neverRunsIt(Case like) throws Exception {
    Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    Scene scene =
        new Scene(
            new Case(Kind.CALL, like.leader(), like.freshness(), like.threads()),
            1,
            gated(),
            options -> options.executor(tasks::add));
    scene.leadersWork.fails(new InterruptedException());
    scene.leader.failure();
    awaitThat(() -> assertThat(tasks).isNotEmpty());
    Caller heir = scene.followers.get(0);
    heir.leave();
    heir.failure();
    awaitThat(() -> assertThat(scene.flights.inFlight()).isEmpty());
    scene.followersWouldReturn("too late");
    tasks.forEach(Runnable::run);
    assertThat(scene.followersExecutions()).isZero();
  }

  /**
   * One thread, and whether it was interrupted when a task had ended: its pool would clear that.
   */
  private final class OneThread implements Executor {
    private final ExecutorService one = singleThread();
    private final Queue<Boolean> flags = new ConcurrentLinkedQueue<>();

    @Override
    public void execute(Runnable task) {
      one.execute(() -> {
        task.run();
        flags.add(Thread.currentThread().isInterrupted());
      });
    }

    void assertNeverInterrupted() throws Exception {
      got(one.submit(() -> null));
      assertThat(flags).isNotEmpty().containsOnly(false);
    }
  }

  private static GatedWork untilInterrupted(boolean swallows) {
    return GatedWork.doing(() -> {
      while (!Thread.currentThread().isInterrupted()) {
        Thread.onSpinWait();
      }
      if (swallows) {
        return null;
      }
      throw new IllegalStateException("interrupted, flag set");
    });
  }

  /**
   * A caller that leads at once, that performs as an heir, or in NEXT when its turn has come. A
   * function that leads at once runs on its caller's thread, which cannot leave meanwhile.
   */
  @ParameterizedTest
  @MethodSource(Case.LEAVABLE_LEADERS)
  void allLeave_theInterrupt_isClearedBeforeTheThreadGoesBack(Case like) throws Exception {
    OneThread executor = new OneThread();
    SingleFlight<Object, Object> flights =
        instance(options -> options.freshness(like.freshness()).executor(executor));
    for (int round = 0; round < 100; round++) {
      boolean atOnce = round % 4 < 2 && like.leader() != Kind.CALL_ASYNC;
      GatedWork aheadsWork = gated();
      Caller ahead = null;
      if (!atOnce) {
        ahead = start(Kind.CALL, Threads.PLATFORM, flights, aheadsWork);
        aheadsWork.awaitBegun();
      }
      GatedWork work = untilInterrupted(round % 2 == 0);
      Caller last = start(like.leader(), like.threads(), flights, work);
      awaitCallers(flights, atOnce ? 1 : 2);
      if (ahead != null && like.freshness() == Freshness.NEXT) {
        aheadsWork.returns("ahead");
      } else if (ahead != null) {
        ahead.leave();
      }
      work.awaitBegun();
      last.leave();
      last.failure();
      executor.assertNeverInterrupted();
    }
  }

  @Test
  void callAsync_abandonedWhileItsFunctionRuns_cancelsTheStage() throws Exception {
    SingleFlight<Object, Object> flights = instance();
    CompletableFuture<Object> stage = new CompletableFuture<>();
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    Thread leader =
        Threads.PLATFORM.start(() -> {
          CompletableFuture<Object> own =
              flights.callAsync(
                  KEY,
                  key -> {
                    begun.countDown();
                    try {
                      go.await();
                    } catch (InterruptedException handedOff) {
                      throw new IllegalStateException(handedOff);
                    }
                    return stage;
                  });
          own.cancel(true);
        });
    await(begun, "the function to begin");
    Caller follower = start(Kind.CALL, Threads.PLATFORM, flights, gated());
    awaitCallers(flights, 2);
    follower.leave();
    follower.failure();
    go.countDown();
    leader.join();
    assertThat(stage).isCancelled();
    assertThat(flights.inFlight()).isEmpty();
  }

  // Coincidence

  /**
   * Either the caller left, or it has the outcome and its interrupt flag; and that is what the
   * listener was told: no caller both left and is among those who got the outcome, or neither.
   */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void landing_coincidesWithAnInterrupt_losesNeither(boolean timed) throws Exception {
    AtomicInteger leaving = new AtomicInteger();
    AtomicInteger served = new AtomicInteger();
    FlightListener<Object> listener =
        new FlightListener<>() {
          @Override
          public void left(Object key, Departure departure) {
            leaving.incrementAndGet();
          }

          @Override
          public void ended(Object key, Ending ending, Duration duration, int callers) {
            served.addAndGet(callers);
          }
        };
    SingleFlight<Object, Object> flights = instance(options -> options.listener(listener));
    ExecutorService threads = threads();
    AtomicInteger landed = new AtomicInteger();
    int rounds = 1000;
    for (int round = 0; round < rounds; round++) {
      CyclicBarrier start = new CyclicBarrier(2);
      GatedWork work = gated();
      Caller leader = start(Kind.CALL, Threads.PLATFORM, flights, work);
      work.awaitBegun();
      CompletableFuture<Thread> thread = new CompletableFuture<>();
      CountDownLatch sent = new CountDownLatch(1);
      Future<Boolean> follower =
          threads.submit(() -> {
            thread.complete(Thread.currentThread());
            try {
              Object value =
                  timed
                      ? flights.call(KEY, Duration.ofHours(1), key -> "not performed")
                      : flights.call(KEY, key -> "not performed");
              assertThat(value).isEqualTo("landed");
              awaitUninterruptibly(sent);
              landed.incrementAndGet();
              return Thread.interrupted();
            } catch (InterruptedException left) {
              return !Thread.currentThread().isInterrupted();
            }
          });
      awaitCallers(flights, 2);
      Thread target = thread.get();
      Future<?> interrupter =
          threads.submit(() -> {
            start.await();
            target.interrupt();
            sent.countDown();
            return null;
          });
      start.await();
      work.returns("landed");
      interrupter.get();
      assertThat(follower.get(60, TimeUnit.SECONDS)).isTrue();
      assertThat(leader.value()).isEqualTo("landed");
    }
    assertThat(leaving).hasValue(rounds - landed.get());
    assertThat(served).hasValue(rounds + landed.get());
  }

  private static void awaitUninterruptibly(CountDownLatch latch) {
    boolean interrupted = false;
    while (true) {
      try {
        latch.await();
        break;
      } catch (InterruptedException kept) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
