package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.FlightDeadlockException;
import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** P7: no silent deadlock. */
public abstract class DeadlockContract extends Contract {

  @ParameterizedTest
  @MethodSource("io.singleflight.contract.DeadlockContract#blockingInside")
  void anyBlockingCall_ofTheKeyThatItsThreadPerforms_throwsAtOnce(Case like) throws Exception {
    SingleFlight<Object, Object> flights =
        instance(options -> options.freshness(like.freshness()).name("orders"));
    assertThatThrownBy(() ->
            call(flights, like.leader(), KEY, () -> call(flights, like.follower(), KEY, () -> 1)))
        .isInstanceOf(FlightDeadlockException.class)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("key k of orders");
    assertThat(flights.inFlight()).isEmpty();
  }

  /** The follower is what blocks inside the leader's work; all on the thread of the test. */
  static Stream<Case> blockingInside() {
    return Case.all()
        .filter(like -> like.follower().blocks() && like.threads() == Threads.PLATFORM);
  }

  @ParameterizedTest
  @EnumSource(Freshness.class)
  void future_ofTheKeyThatItsThreadPerforms_failsInRunningAndWaitsBehindInNext(Freshness freshness)
      throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(freshness));
    List<CompletableFuture<Object>> inner = new ArrayList<>();
    Object outer =
        flights.call(
            KEY,
            key -> {
              inner.add(flights.submit(KEY, k -> "behind"));
              inner.add(flights.callAsync(KEY, k -> CompletableFuture.completedFuture("behind")));
              if (freshness == Freshness.NEXT) {
                assertThat(inner).noneMatch(CompletableFuture::isDone);
              }
              return "outer";
            });
    assertThat(outer).isEqualTo("outer");
    for (CompletableFuture<Object> each : inner) {
      if (freshness == Freshness.NEXT) {
        assertThat(each.get(20, TimeUnit.SECONDS)).isEqualTo("behind");
      } else {
        assertThatThrownBy(() -> each.get(20, TimeUnit.SECONDS))
            .hasCauseInstanceOf(FlightDeadlockException.class);
      }
    }
  }

  /** The mechanism: each of two threads performs what the other waits for. */
  @ParameterizedTest
  @EnumSource(Freshness.class)
  void call_crossingOverTwoInstances_throwsOnBothSides(Freshness freshness) throws Exception {
    SingleFlight<Object, Object> ours =
        instance(options -> options.freshness(freshness).name("ours"));
    SingleFlight<Object, Object> theirs =
        instance(options -> options.freshness(freshness).name("theirs"));
    ExecutorService threads = threads();
    for (int round = 0; round < 1000; round++) {
      Kind inner = round % 3 == 0 ? Kind.TIMED_CALL : round % 3 == 1 ? Kind.CALL : Kind.CALL_ALL;
      CyclicBarrier both = new CyclicBarrier(2);
      Future<Object> ab =
          threads.submit(() ->
              call(
                  ours,
                  Kind.CALL,
                  "a",
                  () -> {
                    both.await();
                    return call(theirs, inner, "b", () -> "not performed");
                  }));
      Future<Object> ba =
          threads.submit(() ->
              call(
                  theirs,
                  Kind.CALL,
                  "b",
                  () -> {
                    both.await();
                    return call(ours, inner, "a", () -> "not performed");
                  }));
      List<Throwable> failures = new ArrayList<>();
      for (Future<Object> side : List.of(ab, ba)) {
        try {
          side.get(20, TimeUnit.SECONDS);
        } catch (ExecutionException failure) {
          failures.add(failure.getCause());
        }
      }
      assertThat(failures).as("round %s", round).isNotEmpty();
      assertThat(failures)
          .allSatisfy(failure ->
              assertThat(failure)
                  .isInstanceOf(FlightDeadlockException.class)
                  .hasMessageContaining("key a of ours")
                  .hasMessageContaining("key b of theirs"));
      if (freshness == Freshness.RUNNING) {
        assertThat(failures).hasSize(2);
      }
    }
  }

  @Test
  void call_cycleOverTheExecutorsThread_throws() {
    SingleFlight<Object, Object> flights = instance();
    assertThatThrownBy(() ->
            flights.call(
                "a",
                a -> flights.call("b", Duration.ofHours(1), b -> flights.call("a", again -> 1))))
        .isInstanceOf(FlightDeadlockException.class)
        .hasMessageContaining("key a")
        .hasMessageContaining("key b");
  }

  @Test
  void callAll_ofAKeyThatItsThreadPerforms_registersNothing() throws Exception {
    SingleFlight<Object, Object> flights = instance();
    AtomicBoolean performed = new AtomicBoolean();
    flights.call(
        "a",
        a -> {
          assertThatThrownBy(() ->
                  flights.callAll(
                      List.of("b", "a"),
                      keys -> {
                        performed.set(true);
                        return Map.of();
                      }))
              .isInstanceOf(FlightDeadlockException.class);
          assertThat(flights.inFlight()).hasSize(1);
          return 1;
        });
    assertThat(performed).isFalse();
  }

  @ParameterizedTest
  @EnumSource(Freshness.class)
  void call_nestedInAscendingOrder_isNeverTakenForADeadlock(Freshness freshness) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(freshness));
    ExecutorService threads = threads();
    List<Future<?>> all = new ArrayList<>();
    for (int thread = 0; thread < 8; thread++) {
      SplittableRandom random = new SplittableRandom(thread);
      all.add(
          threads.submit(() -> {
            for (int i = 0; i < 1000; i++) {
              int start = random.nextInt(4);
              assertThat(nested(flights, start, 3)).isNotNull();
            }
            return null;
          }));
    }
    for (Future<?> each : all) {
      each.get(60, TimeUnit.SECONDS);
    }
  }

  private static Object nested(SingleFlight<Object, Object> flights, int key, int depth)
      throws Exception {
    return flights.call(
        key, each -> depth == 1 ? (Object) 0 : nested(flights, (int) each + 1, depth - 1));
  }

  @Test
  void call_afterForgetInsideItsOwnWork_startsAfresh() throws Exception {
    SingleFlight<Object, Object> flights = instance();
    Object value =
        flights.call(
            KEY,
            key -> {
              assertThat(flights.forget(KEY)).isTrue();
              return flights.call(KEY, again -> "fresh");
            });
    assertThat(value).isEqualTo("fresh");
  }

  /** Waiting for a thread that waits for nobody is no deadlock. */
  @Test
  void call_chainWithoutCycle_waits() throws Exception {
    SingleFlight<Object, Object> flights = instance();
    ExecutorService threads = threads();
    CountDownLatch go = new CountDownLatch(1);
    Future<Object> c =
        threads.submit(() ->
            flights.call(
                "c",
                key -> {
                  go.await();
                  return "c";
                }));
    awaitCallers(flights, 1);
    Future<Object> b =
        threads.submit(() -> flights.call("b", key -> flights.call("c", inner -> "no")));
    awaitCallers(flights, 3);
    Future<Object> a =
        threads.submit(() -> flights.call("a", key -> flights.call("b", inner -> "no")));
    awaitCallers(flights, 5);
    go.countDown();
    assertThat(List.of(a.get(), b.get(), c.get())).containsOnly("c");
  }
}
