package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
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

  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void anyCall_anyFailure_landsAndFreesTheKey(Case like) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(like.freshness()));
    for (Throwable failure :
        List.of(
            new IllegalStateException("unchecked"),
            new Exception("checked, sneaky"),
            new StackOverflowError("error"),
            new Throwable("neither"),
            new CancellationException("cancelled"),
            new InterruptedException("interrupted"))) {
      Caller caller = start(like.leader(), like.threads(), flights, GatedWork.failing(failure));
      assertThat(caller.failure()).isSameAs(failure);
      assertThat(flights.inFlight()).isEmpty();
      assertThat(start(like.leader(), like.threads(), flights, GatedWork.returning(1)).value())
          .isEqualTo(1);
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
            LandingContract.await(go.get(), "all to be aboard");
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
