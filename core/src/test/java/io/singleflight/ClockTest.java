package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Whose flights are timed: those of a thread that makes a call a microsecond or less are exact; one
 * in more haste looks at the clock for one call in 64.
 */
@Timeout(60)
class ClockTest {

  private static final int MICROSECOND = 1_000;
  private static final int HASTY_CALLS = 64;

  private final AtomicLong clock = new AtomicLong(1_000_000);
  private final AtomicInteger looks = new AtomicInteger();

  // A thread of its own: what it knows of its haste is from this test.
  private final ExecutorService caller = Executors.newSingleThreadExecutor();
  private final ExecutorService another = Executors.newSingleThreadExecutor();

  @AfterEach
  void stopThreads() {
    caller.shutdownNow();
    another.shutdownNow();
  }

  private long look() {
    looks.incrementAndGet();
    return clock.get();
  }

  private <T> T onCallersThread(Callable<T> task) throws Exception {
    return caller.submit(task).get(30, TimeUnit.SECONDS);
  }

  private static long ageOf(SingleFlight<String, ?> flights) {
    List<InFlight<String>> all = flights.inFlight();
    assertThat(all).hasSize(1);
    return all.get(0).age().toNanos();
  }

  /** Makes a call whose work takes some time, and returns the age that others see at its end. */
  private long ageAfter(SingleFlight<String, Long> flights, long nanos) throws Exception {
    return flights.call(
        "a",
        key -> {
          clock.addAndGet(nanos);
          return ageOf(flights);
        });
  }

  /** Makes so many calls in no time that the thread looks at the clock no more for the next. */
  private static void hurry(SingleFlight<String, Long> flights) throws Exception {
    for (int i = 0; i < HASTY_CALLS + 1; i++) {
      flights.call("hurry", key -> 0L);
    }
  }

  @Test
  void age_callerTakesAMicrosecond_isExact() throws Exception {
    SingleFlight<String, Long> flights = SingleFlight.<String, Long>builder().build(this::look);
    onCallersThread(() -> {
      for (int i = 0; i < 5 * HASTY_CALLS; i++) {
        assertThat(ageAfter(flights, MICROSECOND)).isEqualTo(MICROSECOND);
      }
      return null;
    });
  }

  @Test
  void age_fewerHastyCallsThanThat_isExact() throws Exception {
    SingleFlight<String, Long> flights = SingleFlight.<String, Long>builder().build(this::look);
    onCallersThread(() -> {
      for (int burst = 0; burst < 10; burst++) {
        for (int i = 0; i < HASTY_CALLS; i++) {
          assertThat(ageAfter(flights, 1)).isEqualTo(1);
        }
        clock.addAndGet(MICROSECOND);
      }
      return null;
    });
  }

  @Test
  void age_callerInHaste_countsFromFirstSightAndIsNeverTooHigh() throws Exception {
    SingleFlight<String, Long> flights = SingleFlight.<String, Long>builder().build(this::look);
    List<Long> ages = new ArrayList<>();
    onCallersThread(() -> {
      hurry(flights);
      for (int i = 0; i < 3 * HASTY_CALLS; i++) {
        long age =
            flights.call(
                "a",
                key -> {
                  clock.addAndGet(50);
                  long seen = ageOf(flights);
                  clock.addAndGet(30);
                  assertThat(ageOf(flights)).isEqualTo(seen + 30);
                  return seen;
                });
        ages.add(age);
      }
      return null;
    });
    assertThat(ages).containsOnly(0L, 50L);
    assertThat(ages).filteredOn(age -> age == 50).hasSize(3);
  }

  @Test
  void age_callerInHaste_countsFromItsFirstFollowerOn() throws Exception {
    SingleFlight<String, Long> flights = SingleFlight.<String, Long>builder().build(this::look);
    AtomicInteger followers = new AtomicInteger();
    onCallersThread(() -> {
      hurry(flights);
      return flights.call(
          "a",
          key -> {
            clock.addAndGet(50);
            CompletableFuture<Long> follower =
                another.submit(() -> flights.submit("a", any -> -1L)).get();
            followers.set(follower.isDone() ? 0 : 1);
            clock.addAndGet(30);
            assertThat(ageOf(flights)).isEqualTo(30);
            return 0L;
          });
    });
    assertThat(followers).hasValue(1);
  }

  @Test
  void call_inHaste_looksAtTheClockOnceInSixtyFour() throws Exception {
    SingleFlight<String, Long> flights = SingleFlight.<String, Long>builder().build(this::look);
    onCallersThread(() -> {
      hurry(flights);
      looks.set(0);
      for (int i = 0; i < 10 * HASTY_CALLS; i++) {
        flights.call("a", key -> 0L);
      }
      return null;
    });
    assertThat(looks).hasValue(10);
  }

  @Test
  void age_callerInHasteNoMore_isExactAgain() throws Exception {
    SingleFlight<String, Long> flights = SingleFlight.<String, Long>builder().build(this::look);
    onCallersThread(() -> {
      hurry(flights);
      for (int i = 0; i < 2 * HASTY_CALLS; i++) {
        ageAfter(flights, MICROSECOND);
      }
      for (int i = 0; i < 3 * HASTY_CALLS; i++) {
        assertThat(ageAfter(flights, MICROSECOND)).isEqualTo(MICROSECOND);
      }
      return null;
    });
  }

  @Test
  void age_otherKindsOfCallsInHaste_isExact() throws Exception {
    SingleFlight<String, Long> flights =
        SingleFlight.<String, Long>builder().executor(Runnable::run).build(this::look);
    onCallersThread(() -> {
      hurry(flights);
      for (int i = 0; i < 3 * HASTY_CALLS; i++) {
        CompletableFuture<Long> stage = new CompletableFuture<>();
        flights.callAsync("async", key -> stage);
        clock.addAndGet(7);
        assertThat(ageOf(flights)).isEqualTo(7);
        stage.complete(0L);
        Callable<Long> aging =
            () -> {
              clock.addAndGet(7);
              return ageOf(flights);
            };
        assertThat(flights.submit("submit", key -> inside(aging)).join()).isEqualTo(7);
        assertThat(flights.call("timed", Duration.ofDays(1), key -> inside(aging))).isEqualTo(7);
        assertThat(
                flights.callAll(List.of("batch"), keys -> java.util.Map.of("batch", inside(aging))))
            .containsEntry("batch", 7L);
      }
      return null;
    });
  }

  private static long inside(Callable<Long> aging) {
    try {
      return aging.call();
    } catch (Exception failure) {
      throw new AssertionError(failure);
    }
  }

  @Test
  void duration_withAListener_isExactInHasteToo() throws Exception {
    List<Duration> durations = new ArrayList<>();
    SingleFlight<String, Long> flights =
        SingleFlight.<String, Long>builder()
            .listener(
                new FlightListener<String>() {
                  @Override
                  public void ended(String key, Ending ending, Duration duration, int callers) {
                    if (key.equals("a")) {
                      durations.add(duration);
                    }
                  }
                })
            .build(this::look);
    onCallersThread(() -> {
      hurry(flights);
      for (int i = 0; i < 3 * HASTY_CALLS; i++) {
        assertThat(ageAfter(flights, 7)).isEqualTo(7);
      }
      return null;
    });
    assertThat(durations).hasSize(3 * HASTY_CALLS).containsOnly(Duration.ofNanos(7));
  }

  @Test
  void age_withMaxJoinAge_isExactInHasteToo() throws Exception {
    SingleFlight<String, Long> flights =
        SingleFlight.<String, Long>builder().maxJoinAge(Duration.ofSeconds(1)).build(this::look);
    onCallersThread(() -> {
      hurry(flights);
      for (int i = 0; i < 3 * HASTY_CALLS; i++) {
        assertThat(ageAfter(flights, 7)).isEqualTo(7);
      }
      return null;
    });
  }

  /** Nothing expires unless it is asked to. */
  @Test
  void join_flightIsYearsOld_sharesIt() throws Exception {
    SingleFlight<String, Long> flights = SingleFlight.<String, Long>builder().build(this::look);
    CompletableFuture<Long> stage = new CompletableFuture<>();
    CompletableFuture<Long> old = flights.callAsync("a", key -> stage);
    clock.addAndGet(Duration.ofDays(365).toNanos());
    CompletableFuture<Long> late = flights.submit("a", key -> -1L);
    stage.complete(1L);
    assertThat(old.get()).isEqualTo(1);
    assertThat(late.get()).isEqualTo(1);
  }

  /** Who looks on has looked at the clock before the flight was registered. */
  @Test
  void age_flightIsYoungerThanTheLook_isZero() throws Exception {
    SingleFlight<String, Long> flights = SingleFlight.<String, Long>builder().build(this::look);
    assertThat(onCallersThread(() -> ageAfter(flights, -MICROSECOND))).isZero();
  }

  /** A batch inside a work that is too old to be joined leads a new flight, as a call does. */
  @Test
  void callAll_insideAWorkPastMaxJoinAge_leadsANewFlight() throws Exception {
    SingleFlight<String, Long> flights =
        SingleFlight.<String, Long>builder()
            .maxJoinAge(Duration.ofNanos(MICROSECOND))
            .build(this::look);
    long answer =
        onCallersThread(() ->
            flights.call(
                "a",
                key -> {
                  clock.addAndGet(MICROSECOND + 1);
                  return flights.callAll(List.of("a"), keys -> Map.of("a", 7L)).get("a");
                }));
    assertThat(answer).isEqualTo(7);
  }
}
