package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.FlightDeadlockException;
import io.singleflight.FlightStats;
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
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** P7: no silent deadlock. */
public abstract class DeadlockContract extends Contract {

  private static final int ROUNDS = 1000;
  private static final String CIRCLE_OF_TWO =
      "this call could only wait for itself: thread .+ waits for the flight of key . of .+,"
          + " performed by thread .+, which waits for the flight of key . of .+,"
          + " performed by thread .+";
  private static final int NESTED_CALLS = 24_000;

  @ParameterizedTest
  @MethodSource("io.singleflight.contract.DeadlockContract#blockingInside")
  void anyBlockingCall_ofTheKeyThatItsThreadPerforms_throwsEachTime(Case like) throws Exception {
    SingleFlight<Object, Object> flights =
        instance(options ->
            options
                .freshness(like.freshness())
                .name("orders")
                .executor(task -> like.threads().start(task)));
    AtomicInteger performed = new AtomicInteger();
    Future<Object> all =
        on(
            like.threads(),
            () -> {
              for (int round = 0; round < ROUNDS; round++) {
                assertThatThrownBy(() ->
                        call(
                            flights,
                            like.leader(),
                            KEY,
                            () -> call(flights, like.follower(), KEY, performed::incrementAndGet)))
                    .as("round %s", round)
                    .isInstanceOf(FlightDeadlockException.class)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageStartingWith("this call could only wait for itself: thread ")
                    .hasMessageEndingWith(
                        ", which performs the flight of key k of orders, asks for it again");
              }
              return "all rounds";
            });
    assertThat(got(all)).isEqualTo("all rounds");
    assertThat(performed).hasValue(0);
    assertThat(flights.inFlight()).isEmpty();
  }

  /** The follower is what blocks inside the leader's work. */
  static Stream<Case> blockingInside() {
    return Case.all().filter(like -> like.follower().blocks());
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

  /**
   * The mechanism: each of two threads performs what the other waits for. In RUNNING both get the
   * failure: the other is aboard the flight that fails. In NEXT the other waits behind it, and
   * performs its own work when its turn comes.
   */
  @ParameterizedTest
  @MethodSource(Case.MODES)
  void call_crossingOverTwoInstances_throwsAndHangsNobody(Case like) throws Exception {
    SingleFlight<Object, Object> ours =
        instance(options -> options.freshness(like.freshness()).name("ours"));
    SingleFlight<Object, Object> theirs =
        instance(options -> options.freshness(like.freshness()).name("theirs"));
    for (int round = 0; round < ROUNDS; round++) {
      Kind inner = round % 3 == 0 ? Kind.TIMED_CALL : round % 3 == 1 ? Kind.CALL : Kind.CALL_ALL;
      CyclicBarrier both = new CyclicBarrier(2);
      AtomicInteger performed = new AtomicInteger();
      Body innermost =
          () -> {
            performed.incrementAndGet();
            return "performed behind";
          };
      List<Future<Object>> sides =
          List.of(
              crossing(like, ours, "a", theirs, "b", inner, innermost, both),
              crossing(like, theirs, "b", ours, "a", inner, innermost, both));
      List<Throwable> failures = new ArrayList<>();
      for (Future<Object> side : sides) {
        try {
          assertThat(got(side)).isEqualTo("performed behind");
        } catch (ExecutionException failure) {
          failures.add(failure.getCause());
        }
      }
      assertThat(failures)
          .as("round %s", round)
          .hasSizeBetween(like.freshness() == Freshness.RUNNING ? 2 : 1, 2)
          .allSatisfy(failure ->
              assertThat(failure)
                  .isInstanceOf(FlightDeadlockException.class)
                  .hasMessageContaining("key a of ours")
                  .hasMessageContaining("key b of theirs")
                  .hasMessageMatching(CIRCLE_OF_TWO));
      assertThat(performed).as("round %s", round).hasValue(2 - failures.size());
    }
  }

  private static Future<Object> crossing(
      Case like,
      SingleFlight<Object, Object> first,
      Object firstKey,
      SingleFlight<Object, Object> second,
      Object secondKey,
      Kind inner,
      Body innermost,
      CyclicBarrier both) {
    return on(
        like.threads(),
        () ->
            call(
                first,
                Kind.CALL,
                firstKey,
                () -> {
                  both.await();
                  return call(second, inner, secondKey, innermost);
                }));
  }

  @ParameterizedTest
  @MethodSource(Case.MODES)
  void call_cycleOverTheExecutorsThread_throws(Case like) {
    SingleFlight<Object, Object> flights =
        instance(options ->
            options.freshness(like.freshness()).executor(task -> like.threads().start(task)));
    Future<Object> cycle =
        on(
            like.threads(),
            () ->
                flights.call(
                    "a",
                    a ->
                        flights.call(
                            "b", Duration.ofHours(1), b -> flights.call("a", again -> 1))));
    assertThatThrownBy(() -> got(cycle))
        .cause()
        .isInstanceOf(FlightDeadlockException.class)
        .hasMessageContaining("key a")
        .hasMessageContaining("key b");
  }

  @Test
  void callAll_ofAKeyThatItsThreadPerforms_registersNothing() throws Exception {
    FlightStats stats = new FlightStats();
    SingleFlight<Object, Object> flights = instance(options -> options.listener(stats));
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
          assertThat(stats.snapshot().started()).isEqualTo(1);
          return 1;
        });
    assertThat(performed).isFalse();
  }

  /** Only calls that are made inside a work count: of those that meet, few lead. */
  @ParameterizedTest
  @MethodSource(Case.MODES)
  void call_nestedInAscendingOrder_isNeverTakenForADeadlock(Case like) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(like.freshness()));
    AtomicInteger nested = new AtomicInteger();
    List<Future<Object>> all = new ArrayList<>();
    for (int thread = 0; thread < 8; thread++) {
      SplittableRandom random = new SplittableRandom(thread);
      all.add(
          on(
              like.threads(),
              () -> {
                while (nested.get() < NESTED_CALLS) {
                  assertThat(nest(flights, random.nextInt(4), 3, nested)).isNotNull();
                }
                return "done";
              }));
    }
    for (Future<Object> each : all) {
      assertThat(each.get(60, TimeUnit.SECONDS)).isEqualTo("done");
    }
    assertThat(nested).hasValueGreaterThanOrEqualTo(NESTED_CALLS);
  }

  private static Object nest(
      SingleFlight<Object, Object> flights, int key, int depth, AtomicInteger nested)
      throws Exception {
    return flights.call(
        key,
        each -> {
          if (depth == 1) {
            return 0;
          }
          Object value = nest(flights, (int) each + 1, depth - 1, nested);
          nested.incrementAndGet();
          return value;
        });
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
