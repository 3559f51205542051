package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** P1 overlap, P2 nobody joins the landed, P4 always lands, P11 visibility. */
public abstract class LandingContract extends Contract {

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void anyCall_whileAnotherFlies_sharesItsExecution(Case like) throws Exception {
    Object value = new Object();
    Scene scene = new Scene(like, 3, gated());
    scene.leadersWork.returns(value);
    assertThat(scene.leader.value()).isSameAs(value);
    for (Caller follower : scene.followers) {
      assertThat(follower.value()).isSameAs(value);
    }
    assertThat(scene.leadersWork.executions()).isEqualTo(1);
    assertThat(scene.followersExecutions()).isZero();
  }

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void anyCall_nullValue_isShared(Case like) throws Exception {
    Scene scene = new Scene(like, 1, gated());
    scene.leadersWork.returns(null);
    assertThat(scene.leader.value()).isNull();
    assertThat(scene.followers.get(0).value()).isNull();
    assertThat(scene.followersExecutions()).isZero();
  }

  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void anyCall_afterOneReturned_performsAnew(Case like) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(like.freshness()));
    for (int i = 0; i < 100; i++) {
      GatedWork work = GatedWork.returning(i);
      assertThat(start(like.leader(), like.threads(), flights, work).value()).isEqualTo(i);
      assertThat(work.executions()).isEqualTo(1);
    }
  }

  /** The mechanism: callers are told before the entry is removed, so a retry joins the landed. */
  @ParameterizedTest
  @MethodSource(Case.ALL)
  void anyCall_calledAgainAtOnceByWhoeverHasTheOutcome_performsAnew(Case like) throws Exception {
    Scene scene = new Scene(like, 4, gated());
    List<CompletableFuture<Object>> retries = new ArrayList<>();
    List<Caller> all = new ArrayList<>(scene.followers);
    all.add(scene.leader);
    for (Caller caller : all) {
      if (!caller.kind.blocks()) {
        retries.add(
            caller
                .future()
                .thenCompose(value ->
                    scene.flights.callAsync(
                        KEY, key -> CompletableFuture.completedFuture("anew"))));
      }
    }
    scene.leadersWork.returns("landed");
    for (Caller caller : all) {
      assertThat(caller.value()).isEqualTo("landed");
    }
    for (CompletableFuture<Object> retry : retries) {
      assertThat(retry.get(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isEqualTo("anew");
    }
  }

  /** The same for a thread that was blocked, and calls again as soon as it has returned. */
  @ParameterizedTest
  @MethodSource("io.singleflight.contract.LandingContract#blocking")
  void blockingCall_calledAgainAtOnceByItsThread_performsAnew(Case like) throws Exception {
    Crowd crowd = new Crowd(like, () -> "landed");
    for (int round = 0; round < 30; round++) {
      List<Future<List<Object>>> callers =
          crowd.call(kind ->
              List.of(
                  call(crowd.flights, kind, KEY, crowd.work),
                  call(crowd.flights, kind, KEY, () -> "anew")));
      for (Future<List<Object>> caller : callers) {
        assertThat(got(caller)).containsExactly("landed", "anew");
      }
    }
  }

  static Stream<Case> blocking() {
    return Case.all().filter(like -> like.leader().blocks() && like.follower().blocks());
  }

  /** Of the failures, an interruption is the leader's own: a follower performs instead. */
  @ParameterizedTest
  @MethodSource(Case.ALL)
  void anyCall_anyFailure_landsForAllAndFreesTheKey(Case like) throws Exception {
    for (Throwable failure :
        List.of(
            new IllegalStateException("unchecked"),
            new Exception("checked, sneaky"),
            new StackOverflowError("error"),
            new Throwable("neither"),
            new CancellationException("cancelled"),
            new InterruptedException("interrupted"))) {
      boolean shared = !(failure instanceof InterruptedException);
      Scene scene = new Scene(like, 2, gated());
      scene.followersWouldReturn("instead");
      scene.leadersWork.fails(failure);
      assertThat(scene.leader.failure()).isSameAs(failure);
      for (Caller follower : scene.followers) {
        if (shared) {
          assertThat(follower.failure()).isSameAs(failure);
        } else {
          assertThat(follower.value()).isEqualTo("instead");
        }
      }
      assertThat(scene.followersExecutions()).isEqualTo(shared ? 0 : 1);
      assertThat(scene.flights.inFlight()).isEmpty();
      assertThat(
              start(like.leader(), like.threads(), scene.flights, GatedWork.returning(1)).value())
          .isEqualTo(1);
    }
  }

  /** How a flight comes to the caller that is to perform it. */
  enum Turn {
    AT_ONCE,
    AS_HEIR,
    AFTER_ANOTHER
  }

  /** How a flight ends that has no proper execution. */
  enum Mishap {
    THROWING_FUNCTION(Kind.CALL_ASYNC),
    NULL_STAGE(Kind.CALL_ASYNC),
    CANCELLED_STAGE(Kind.CALL_ASYNC),
    FAILED_STAGE(Kind.CALL_ASYNC),
    REJECTED_WORK(Kind.SUBMIT),
    REJECTED_TIMED_WORK(Kind.TIMED_CALL),
    DROPPED_WORK(Kind.SUBMIT),
    DROPPED_TIMED_WORK(Kind.TIMED_CALL);

    final Kind kind;

    Mishap(Kind kind) {
      this.kind = kind;
    }

    boolean isDrop() {
      return this == DROPPED_WORK || this == DROPPED_TIMED_WORK;
    }
  }

  static Stream<Arguments> mishaps() {
    return Stream.of(Turn.values())
        .flatMap(turn -> Stream.of(Mishap.values()).map(mishap -> Arguments.of(turn, mishap)));
  }

  /** The task of a rejected or dropped work is with the executor until all are aboard. */
  @ParameterizedTest
  @MethodSource("io.singleflight.contract.LandingContract#mishaps")
  void anyFlight_withoutAProperExecution_failsForAllAndFreesTheKey(Turn turn, Mishap mishap)
      throws Exception {
    CountDownLatch aboard = new CountDownLatch(1);
    Queue<Runnable> dropped = new ConcurrentLinkedQueue<>();
    Throwable own = new IllegalStateException("its own");
    SingleFlight<Object, Object> flights =
        instance(options ->
            options
                .freshness(turn == Turn.AFTER_ANOTHER ? Freshness.NEXT : Freshness.RUNNING)
                .executor(task -> {
                  if (mishap.isDrop()) {
                    dropped.add(task);
                  } else if (mishap.kind == Kind.CALL_ASYNC) {
                    Threads.PLATFORM.start(task);
                  } else {
                    awaitUninterruptibly(aboard);
                    throw GatedWork.<RuntimeException>sneaky(own);
                  }
                }));
    GatedWork aheadsWork = gated();
    Caller ahead = null;
    int before = 0;
    if (turn != Turn.AT_ONCE) {
      ahead = start(Kind.CALL, Threads.PLATFORM, flights, aheadsWork);
      aheadsWork.awaitBegun();
      before = 1;
    }
    CompletableFuture<Object> stage = new CompletableFuture<>();
    GatedWork work =
        GatedWork.function(key -> {
          awaitUninterruptibly(aboard);
          return switch (mishap) {
            case NULL_STAGE -> null;
            case CANCELLED_STAGE, FAILED_STAGE -> stage;
            default -> throw GatedWork.<RuntimeException>sneaky(own);
          };
        });
    List<Caller> all = new ArrayList<>();
    all.add(start(mishap.kind, Threads.PLATFORM, flights, work));
    awaitCallers(flights, before + 1);
    GatedWork unused = gated();
    for (Kind kind : Kind.values()) {
      all.add(start(kind, Threads.PLATFORM, flights, unused));
      awaitCallers(flights, before + all.size());
    }
    switch (turn) {
      case AS_HEIR -> aheadsWork.fails(new InterruptedException("the leader's own"));
      case AFTER_ANOTHER -> aheadsWork.returns("ahead");
      default -> assertThat(ahead).isNull();
    }
    awaitCallers(flights, all.size());
    if (mishap.isDrop()) {
      await(() -> !dropped.isEmpty());
      dropped.clear();
    }
    aboard.countDown();
    switch (mishap) {
      case CANCELLED_STAGE -> stage.cancel(true);
      case FAILED_STAGE -> stage.completeExceptionally(own);
      default -> assertThat(stage).isNotDone();
    }
    await(() -> {
      if (mishap.isDrop()) {
        dropped.clear();
        System.gc();
      }
      return all.stream().allMatch(Caller::hasEnded);
    });
    List<Throwable> failures = new ArrayList<>();
    for (Caller caller : all) {
      failures.add(caller.failure());
    }
    assertThat(failures).hasSize(6).allMatch(failure -> failure == failures.get(0));
    switch (mishap) {
      case NULL_STAGE -> assertThat(failures.get(0)).isInstanceOf(NullPointerException.class);
      case CANCELLED_STAGE -> assertThat(failures.get(0)).isInstanceOf(CancellationException.class);
      case DROPPED_WORK, DROPPED_TIMED_WORK ->
          assertThat(failures.get(0)).isInstanceOf(RejectedExecutionException.class);
      default -> assertThat(failures.get(0)).isSameAs(own);
    }
    assertThat(unused.executions()).isZero();
    assertThat(flights.inFlight()).isEmpty();
    assertThat(flights.call(KEY, key -> "anew")).isEqualTo("anew");
  }

  private static void awaitUninterruptibly(CountDownLatch latch) {
    try {
      Contract.await(latch, "all to be aboard");
    } catch (InterruptedException unexpected) {
      throw new AssertionError(unexpected);
    }
  }

  @Test
  void callAsync_nullStage_failsTheFuture() {
    SingleFlight<Object, Object> flights = instance();
    CompletableFuture<Object> future = flights.callAsync(KEY, key -> null);
    assertThatThrownBy(future::get).hasCauseInstanceOf(NullPointerException.class);
    assertThat(flights.inFlight()).isEmpty();
  }

  @Test
  void callAsync_functionThrows_failsTheFuture() {
    SingleFlight<Object, Object> flights = instance();
    Error failure = new AssertionError("no stage");
    CompletableFuture<Object> future =
        flights.callAsync(
            KEY,
            key -> {
              throw failure;
            });
    assertThatThrownBy(future::get).cause().isSameAs(failure);
    assertThat(flights.inFlight()).isEmpty();
  }

  @Test
  void callAsync_stageCancelled_lands() {
    SingleFlight<Object, Object> flights = instance();
    CompletableFuture<Object> stage = new CompletableFuture<>();
    CompletableFuture<Object> future = flights.callAsync(KEY, key -> stage);
    stage.cancel(true);
    assertThat(future).isCompletedExceptionally();
    assertThat(flights.inFlight()).isEmpty();
  }

  @Test
  void executor_rejects_landsWithTheRejection() throws Exception {
    RejectedExecutionException refusal = new RejectedExecutionException("full");
    SingleFlight<Object, Object> flights =
        instance(options ->
            options.executor(task -> {
              throw refusal;
            }));
    for (Kind kind : List.of(Kind.SUBMIT, Kind.TIMED_CALL)) {
      GatedWork work = GatedWork.returning(1);
      assertThat(start(kind, Threads.PLATFORM, flights, work).failure()).isSameAs(refusal);
      assertThat(work.executions()).isZero();
      assertThat(flights.inFlight()).isEmpty();
    }
  }

  /** Each reads on its own thread. That nothing is left to luck, only a race can show: jcstress. */
  @ParameterizedTest
  @MethodSource(Case.ALL)
  void anyCall_writesOfTheWork_areVisible(Case like) throws Exception {
    class Plain {
      int written;
    }
    Plain plain = new Plain();
    Crowd crowd =
        new Crowd(
            like,
            () -> {
              plain.written = 42;
              return plain;
            });
    List<Future<Integer>> reads =
        crowd.call(kind -> ((Plain) call(crowd.flights, kind, KEY, crowd.work)).written);
    for (Future<Integer> read : reads) {
      assertThat(got(read)).isEqualTo(42);
    }
  }

  /** A leader and three followers, each a thread, of a flight whose work waits for all of them. */
  private final class Crowd {
    final SingleFlight<Object, Object> flights;
    final Body work;
    private final Case like;
    private final AtomicReference<CountDownLatch> go = new AtomicReference<>();

    Crowd(Case like, Body work) {
      this.like = like;
      this.flights = instance(options -> options.freshness(like.freshness()));
      this.work =
          () -> {
            Contract.await(go.get(), "all to be aboard");
            return work.perform();
          };
    }

    <T> List<Future<T>> call(Caller<T> caller) throws Exception {
      go.set(new CountDownLatch(1));
      List<Future<T>> all = new ArrayList<>();
      GatedWork aheadsWork = GatedWork.gated();
      int before = 0;
      if (like.freshness() == Freshness.NEXT) {
        on(Threads.PLATFORM, () -> flights.call(KEY, aheadsWork::perform));
        awaitCallers(flights, ++before);
      }
      for (int i = 0; i < 4; i++) {
        Kind kind = i == 0 ? like.leader() : like.follower();
        all.add(on(like.threads(), () -> caller.call(kind)));
        awaitCallers(flights, before + i + 1);
      }
      aheadsWork.returns("ahead");
      awaitCallers(flights, 4);
      go.get().countDown();
      return all;
    }

    interface Caller<T> {
      T call(Kind kind) throws Exception;
    }
  }

  /** The mechanism: the leader wakes all, or a woken one forgets to wake the rest. */
  @Test
  void call_fromFifteenHundredThreads_isOneExecution() throws Exception {
    SingleFlight<Object, Object> flights = instance();
    GatedWork work = gated();
    List<Caller> callers = new ArrayList<>();
    for (int i = 0; i < 1500; i++) {
      callers.add(start(Kind.CALL, Threads.PLATFORM, flights, work));
    }
    awaitCallers(flights, 1500);
    assertThat(flights.inFlight()).hasSize(1);
    work.returns("one");
    for (Caller caller : callers) {
      assertThat(caller.value()).isEqualTo("one");
    }
    assertThat(work.executions()).isEqualTo(1);
  }
}
