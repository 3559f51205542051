package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.SingleFlight;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
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

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void anyCall_writesOfTheWork_areVisible(Case like) throws Exception {
    int[] written = new int[1];
    Scene scene = new Scene(like, 1, gated());
    written[0] = 42;
    scene.leadersWork.returns(written);
    assertThat((int[]) scene.leader.value()).containsExactly(42);
    assertThat((int[]) scene.followers.get(0).value()).containsExactly(42);
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
