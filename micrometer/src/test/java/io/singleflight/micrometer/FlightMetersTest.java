package io.singleflight.micrometer;

import static io.singleflight.contract.Contract.callers;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Percentage.withPercentage;

import io.micrometer.core.instrument.Clock;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.composite.CompositeMeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.singleflight.FlightStats;
import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.LongAdder;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.awaitility.Awaitility;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class FlightMetersTest {

  private static final Duration A_DAY = Duration.ofDays(1);

  private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final CountDownLatch gate = new CountDownLatch(1);

  @AfterEach
  void end() {
    gate.countDown();
    threads.shutdownNow();
  }

  private SingleFlight<String, String> watched(MeterRegistry into, FlightStats stats) {
    return watched(into, stats, Freshness.RUNNING);
  }

  private SingleFlight<String, String> watched(
      MeterRegistry into, FlightStats stats, Freshness freshness) {
    FlightMeters meters = FlightMeters.of(into, "customers");
    return meters.watch(
        SingleFlight.<String, String>builder()
            .name("customers")
            .freshness(freshness)
            .handOffOn(SecurityException.class::isInstance)
            .listener(meters)
            .listener(stats)
            .build());
  }

  /** What the callers and works of the load have counted themselves. */
  private static final class Counts {
    final LongAdder calls = new LongAdder();
    final LongAdder values = new LongAdder();
    final LongAdder failures = new LongAdder();
    final LongAdder handOffs = new LongAdder();
    final LongAdder abandoned = new LongAdder();
    final LongAdder timedOut = new LongAdder();
    final LongAdder cancelled = new LongAdder();
    final LongAdder interrupted = new LongAdder();

    String value() {
      Thread.yield();
      values.increment();
      return "value";
    }

    String valueOrFailure(boolean fails) {
      if (fails) {
        failures.increment();
        throw new IllegalStateException("the key's");
      }
      return value();
    }

    Map<String, String> values(Set<String> keys) {
      Map<String, String> found = new HashMap<>();
      keys.forEach(key -> found.put(key, value()));
      return found;
    }
  }

  private static final int THREADS = 8;
  private static final int ROUNDS = 300;

  /**
   * Callers meet by chance on keys that all share. How many of them leave, or are handed a flight,
   * can be told only while the flight is held: for that each has a key of its own.
   */
  @ParameterizedTest
  @EnumSource(Freshness.class)
  void meters_underLoadOfEveryKindAndEnding_areWhatTheCallersCounted(Freshness freshness)
      throws Exception {
    PrometheusMeterRegistry prometheus = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    FlightStats stats = new FlightStats();
    SingleFlight<String, String> flights = watched(prometheus, stats, freshness);
    Counts counts = new Counts();
    Set<String> gauges = ConcurrentHashMap.newKeySet();
    CyclicBarrier allHold =
        new CyclicBarrier(
            THREADS,
            () -> {
              String page = prometheus.scrape();
              gauges.add(
                  "%.0f in flight, %.0f waiting"
                      .formatted(
                          sum(page, "singleflight_inflight"), sum(page, "singleflight_waiting")));
            });
    List<Future<?>> all = new ArrayList<>();
    for (int thread = 0; thread < THREADS; thread++) {
      SplittableRandom random = new SplittableRandom(thread);
      String ownKey = "of thread " + thread;
      all.add(
          threads.submit(() -> {
            for (int i = 0; i < ROUNDS; i++) {
              for (int j = 0; j < 10; j++) {
                share(flights, random, counts);
              }
              switch (i % 4) {
                case 0 -> new Held(flights, ownKey, freshness, counts, allHold).leaveAll();
                case 1 -> new Held(flights, ownKey, freshness, counts, null).handOff();
                case 2 -> new Held(flights, ownKey, freshness, counts, null).failABatch();
                default -> abandon(flights, ownKey, counts);
              }
            }
            return null;
          }));
    }
    for (Future<?> each : all) {
      each.get(100, TimeUnit.SECONDS);
    }
    long flown = counts.values.sum() + counts.failures.sum() + counts.abandoned.sum();
    Awaitility.await()
        .untilAsserted(() ->
            assertThat(sum(prometheus.scrape(), "singleflight_executions_seconds_count"))
                .isEqualTo(flown));

    String page = prometheus.scrape();
    Map<String, LongAdder> counted = new LinkedHashMap<>();
    counted.put("executions_seconds_count{name=\"customers\",outcome=\"value\"}", counts.values);
    counted.put(
        "executions_seconds_count{name=\"customers\",outcome=\"failure\"}", counts.failures);
    counted.put(
        "executions_seconds_count{name=\"customers\",outcome=\"abandoned\"}", counts.abandoned);
    counted.put("handoffs_total", counts.handOffs);
    counted.put("departures_total{name=\"customers\",reason=\"timed_out\"}", counts.timedOut);
    counted.put("departures_total{name=\"customers\",reason=\"cancelled\"}", counts.cancelled);
    counted.put("departures_total{name=\"customers\",reason=\"interrupted\"}", counts.interrupted);
    counted.forEach((meter, count) -> {
      assertThat(count.sum()).as(meter).isPositive();
      assertThat(sum(page, "singleflight_" + meter)).as(meter).isEqualTo(count.sum());
    });
    assertThat(sum(page, "singleflight_calls_total{name=\"customers\",role=\"leader\"}"))
        .isEqualTo(flown);
    assertThat(sum(page, "singleflight_calls_total{name=\"customers\",role=\"follower\"}"))
        .isEqualTo(counts.calls.sum() - flown)
        .isPositive();
    assertThat(sum(page, "singleflight_executions_seconds_sum"))
        .isCloseTo(stats.snapshot().duration().toNanos() / 1e9, withPercentage(0.001));
    int flightsHeld = freshness == Freshness.NEXT ? 2 * THREADS : THREADS;
    assertThat(gauges)
        .containsExactly("%d in flight, %d waiting".formatted(flightsHeld, 5 * THREADS));
    assertThat(sum(page, "singleflight_inflight")).isZero();
    assertThat(sum(page, "singleflight_waiting")).isZero();
    assertThat(page).doesNotContain("of thread");
  }

  /** A call on keys that all threads use; nobody leaves. */
  private static void share(
      SingleFlight<String, String> flights, SplittableRandom random, Counts counts)
      throws Exception {
    String key = "key " + random.nextInt(3);
    boolean fails = random.nextInt(10) == 0;
    int kind = random.nextInt(6);
    counts.calls.add(kind < 4 ? 1 : kind == 4 ? 3 : 0);
    try {
      switch (kind) {
        case 0 -> flights.call(key, mine -> counts.valueOrFailure(fails));
        case 1 -> flights.call(key, A_DAY, mine -> counts.valueOrFailure(fails));
        case 2 -> flights.submit(key, mine -> counts.valueOrFailure(fails)).join();
        case 3 ->
            flights
                .callAsync(
                    key, mine -> CompletableFuture.completedFuture(counts.valueOrFailure(fails)))
                .join();
        // A batch that meets a failure leaves the others that it joined: that is counted when held.
        case 4 -> flights.callAll(List.of("batch 0", "batch 1", "batch 2"), counts::values);
        default -> flights.forget(key);
      }
    } catch (IllegalStateException | CompletionException failed) {
      assertThat(failed).hasStackTraceContaining("the key's");
    }
  }

  /** Begins an execution, and abandons it. */
  private static void abandon(SingleFlight<String, String> flights, String key, Counts counts)
      throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CompletableFuture<String> future =
        flights.submit(
            key,
            mine -> {
              begun.countDown();
              new CountDownLatch(1).await();
              return "never";
            });
    begun.await();
    assertThat(future.cancel(true)).isTrue();
    counts.calls.increment();
    counts.cancelled.increment();
    counts.abandoned.increment();
  }

  /** A flight of a stage, so that nothing happens to it by chance; in NEXT, behind another. */
  private final class Held {
    private final SingleFlight<String, String> flights;
    private final String key;
    private final Counts counts;
    private final @Nullable CyclicBarrier allHold;
    private final CompletableFuture<String> ahead = new CompletableFuture<>();
    private final CompletableFuture<String> stage = new CompletableFuture<>();
    private final List<CompletableFuture<String>> stay = new ArrayList<>();

    Held(
        SingleFlight<String, String> flights,
        String key,
        Freshness freshness,
        Counts counts,
        @Nullable CyclicBarrier allHold) {
      this.flights = flights;
      this.key = key;
      this.counts = counts;
      this.allHold = allHold;
      if (freshness == Freshness.NEXT) {
        stay.add(flights.callAsync(key, mine -> ahead));
        counts.calls.increment();
        counts.values.increment();
      }
      stay.add(flights.callAsync(key, mine -> stage));
      counts.calls.increment();
    }

    private CompletableFuture<String> follow() {
      counts.calls.increment();
      return flights.callAsync(key, mine -> CompletableFuture.completedFuture(counts.value()));
    }

    private void land() {
      ahead.complete("ahead");
      stage.complete("held");
      counts.values.increment();
      stay.forEach(CompletableFuture::join);
    }

    /** Five followers, of whom one stays. */
    void leaveAll() throws Exception {
      stay.add(follow());
      CompletableFuture<String> cancelled = follow();
      CompletableFuture<String> late = follow();
      List<CompletableFuture<Thread>> blocked = new ArrayList<>();
      List<Future<?>> left = new ArrayList<>();
      for (int i = 0; i < 2; i++) {
        CompletableFuture<Thread> thread = new CompletableFuture<>();
        blocked.add(thread);
        left.add(
            threads.submit(() -> {
              thread.complete(Thread.currentThread());
              counts.calls.increment();
              assertThatThrownBy(() -> flights.call(key, mine -> counts.value()))
                  .isInstanceOf(InterruptedException.class);
              counts.interrupted.increment();
            }));
      }
      Awaitility.await()
          .pollDelay(Duration.ZERO)
          .pollInterval(Duration.ofMillis(1))
          .until(() ->
              flights.inFlight().stream()
                  .anyMatch(flight -> flight.key().equals(key) && flight.callers() == 6));
      requireNonNull(allHold).await();
      for (CompletableFuture<Thread> thread : blocked) {
        thread.join().interrupt();
      }
      for (Future<?> each : left) {
        each.get(20, TimeUnit.SECONDS);
      }
      assertThat(cancelled.cancel(true)).isTrue();
      counts.cancelled.increment();
      assertThat(late.completeExceptionally(new TimeoutException("of its own"))).isTrue();
      counts.timedOut.increment();
      counts.calls.increment();
      assertThatThrownBy(() -> flights.call(key, Duration.ofNanos(1), mine -> counts.value()))
          .isInstanceOf(TimeoutException.class);
      counts.timedOut.increment();
      land();
    }

    /** The leader fails for a reason of its own, twice; the third one's value is that of all. */
    void handOff() {
      CompletableFuture<String> own = new CompletableFuture<>();
      counts.calls.increment();
      CompletableFuture<String> heir = flights.callAsync(key, mine -> own);
      stay.add(follow());
      CompletableFuture<String> leader = stay.remove(stay.size() - 2);
      ahead.complete("ahead");
      for (CompletableFuture<String> each : List.of(stage, own)) {
        each.completeExceptionally(new SecurityException("the leader's own"));
        counts.handOffs.increment();
      }
      assertThat(failureOf(leader)).isInstanceOf(SecurityException.class);
      assertThat(failureOf(heir)).isInstanceOf(SecurityException.class);
      stay.forEach(CompletableFuture::join);
    }

    /** A batch whose own work fails leaves what it has joined: it is cancelled once for each. */
    void failABatch() {
      counts.calls.add(2);
      counts.failures.increment();
      assertThatThrownBy(() ->
              flights.callAll(
                  List.of(key, key + ", led"),
                  keys -> {
                    throw new IllegalStateException("the batch's");
                  }))
          .isInstanceOf(IllegalStateException.class);
      counts.cancelled.increment();
      land();
    }
  }

  private static Throwable failureOf(CompletableFuture<String> future) {
    return future.handle((value, failure) -> failure).join();
  }

  @Test
  void gauges_whileAHerdWaits_tellFlightsAndWhoWaitsBeyondThem() throws Exception {
    SingleFlight<String, String> flights = watched(registry, new FlightStats());
    List<Future<String>> herd = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      herd.add(threads.submit(() -> flights.call("a", this::hold)));
    }
    herd.add(threads.submit(() -> flights.call("b", this::hold)));
    Awaitility.await().until(() -> callers(flights) == 11);
    assertThat(gauge("singleflight.inflight")).isEqualTo(2);
    assertThat(gauge("singleflight.waiting")).isEqualTo(9);
    gate.countDown();
    for (Future<String> each : herd) {
      each.get(20, TimeUnit.SECONDS);
    }
    assertThat(gauge("singleflight.inflight")).isZero();
    assertThat(gauge("singleflight.waiting")).isZero();
  }

  /** A service that is made anew brings a new instance under the same name. */
  @Test
  void gauges_ofAnInstanceThatIsMadeAnew_tellOfTheNewOne() {
    MeterRegistry both = new CompositeMeterRegistry(Clock.SYSTEM, List.of(registry));
    assertThat(watched(both, new FlightStats()).inFlight()).isEmpty();
    SingleFlight<String, String> anew = watched(both, new FlightStats());
    CompletableFuture<String> stage = new CompletableFuture<>();
    CompletableFuture<String> leader = anew.callAsync("a", key -> stage);
    CompletableFuture<String> follower = anew.callAsync("a", key -> stage);
    assertThat(gauge("singleflight.inflight")).isEqualTo(1);
    assertThat(gauge("singleflight.waiting")).isEqualTo(1);
    stage.complete("found");
    assertThat(leader.join() + follower.join()).isEqualTo("foundfound");
    assertThat(gauge("singleflight.inflight")).isZero();
    assertThat(registry.get("singleflight.calls").tag("role", "leader").counter().count())
        .isEqualTo(1);
  }

  private String hold(String key) throws InterruptedException {
    gate.await();
    return key;
  }

  private double gauge(String name) {
    return registry.get(name).tag("name", "customers").gauge().value();
  }

  @Test
  void departures_ofEachReason_areCounted() throws Exception {
    SingleFlight<String, String> flights = watched(registry, new FlightStats());
    Future<String> leader = threads.submit(() -> flights.call("a", this::hold));
    Awaitility.await().until(() -> !flights.inFlight().isEmpty());
    assertThatThrownBy(() -> flights.call("a", Duration.ofNanos(1), this::hold))
        .isInstanceOf(TimeoutException.class);
    flights.submit("a", this::hold).cancel(true);
    CompletableFuture<Thread> waiting = new CompletableFuture<>();
    Future<String> follower =
        threads.submit(() -> {
          waiting.complete(Thread.currentThread());
          return flights.call("a", this::hold);
        });
    Awaitility.await().until(() -> flights.inFlight().get(0).callers() == 2);
    waiting.get().interrupt();
    assertThatThrownBy(() -> follower.get(20, TimeUnit.SECONDS))
        .hasCauseInstanceOf(InterruptedException.class);
    for (String reason : List.of("timed_out", "cancelled", "interrupted")) {
      Awaitility.await()
          .untilAsserted(() ->
              assertThat(
                      registry
                          .get("singleflight.departures")
                          .tag("reason", reason)
                          .counter()
                          .count())
                  .as(reason)
                  .isEqualTo(1));
    }
    gate.countDown();
    assertThat(leader.get()).isEqualTo("a");
  }

  /** All are there from the start, so that rates and alerts see the first event. */
  @Test
  void of_newInstance_registersEveryMeterWithItsTagsAtZero() {
    watched(registry, new FlightStats());
    Set<String> meters = new TreeSet<>();
    for (Meter meter : registry.getMeters()) {
      String tags =
          meter.getId().getTags().stream()
              .filter(tag -> !tag.equals(Tag.of("name", "customers")))
              .map(tag -> tag.getKey() + "=" + tag.getValue())
              .findAny()
              .orElse("");
      assertThat(meter.getId().getTag("name")).isEqualTo("customers");
      assertThat(meter.getId().getDescription()).isNotBlank();
      assertThat(meter.measure()).allSatisfy(value -> assertThat(value.getValue()).isZero());
      meters.add((meter.getId().getName() + " " + tags).strip());
    }
    assertThat(meters)
        .containsExactly(
            "singleflight.calls role=follower",
            "singleflight.calls role=leader",
            "singleflight.departures reason=cancelled",
            "singleflight.departures reason=interrupted",
            "singleflight.departures reason=timed_out",
            "singleflight.executions outcome=abandoned",
            "singleflight.executions outcome=failure",
            "singleflight.executions outcome=value",
            "singleflight.handoffs",
            "singleflight.inflight",
            "singleflight.waiting");
  }

  @Test
  void of_badArguments_areRefusedBeforeAnythingIsRegistered() {
    assertThatThrownBy(() -> FlightMeters.of(registry, " "))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("name is blank");
    assertThatThrownBy(() -> FlightMeters.of(registry, null))
        .isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> FlightMeters.of(null, "customers"))
        .isInstanceOf(NullPointerException.class);
    assertThat(registry.getMeters()).isEmpty();
    assertThatThrownBy(() -> FlightMeters.of(registry, "customers").watch(null))
        .isInstanceOf(NullPointerException.class);
  }

  /** The sum of the samples whose name and first labels are as given. */
  private static double sum(String page, String series) {
    String start = series.endsWith("}") ? series.substring(0, series.length() - 1) : series + "{";
    return Pattern.compile("(?m)^" + Pattern.quote(start) + "[^ ]* (\\S+)$")
        .matcher(page)
        .results()
        .map(MatchResult::group)
        .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
        .sum();
  }
}
