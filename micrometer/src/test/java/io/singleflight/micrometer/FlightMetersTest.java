package io.singleflight.micrometer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.micrometer.core.instrument.Clock;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.composite.CompositeMeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.singleflight.FlightStats;
import io.singleflight.InFlight;
import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

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
    FlightMeters meters = FlightMeters.of(into, "customers");
    return meters.watch(
        SingleFlight.<String, String>builder()
            .name("customers")
            .handOffOn(SecurityException.class::isInstance)
            .listener(meters)
            .listener(stats)
            .build());
  }

  /** Each thread counts its calls, and each work its executions; the meters must agree. */
  @Test
  void meters_underLoadOfEveryKindAndEnding_agreeWithWhatTheCallersCounted() throws Exception {
    PrometheusMeterRegistry prometheus = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    FlightStats stats = new FlightStats();
    SingleFlight<String, String> flights = watched(prometheus, stats);
    AtomicLong calls = new AtomicLong();
    AtomicLong executions = new AtomicLong();
    AtomicLong cancelled = new AtomicLong();
    List<Future<?>> all = new ArrayList<>();
    for (int thread = 0; thread < 8; thread++) {
      SplittableRandom random = new SplittableRandom(thread);
      all.add(
          threads.submit(() -> {
            for (int i = 0; i < 5_000; i++) {
              String key = "key " + random.nextInt(3);
              int ending = random.nextInt(10);
              calls.incrementAndGet();
              try {
                switch (random.nextInt(5)) {
                  case 0 -> flights.call(key, mine -> execute(executions, ending));
                  case 1 -> flights.call(key, A_DAY, mine -> execute(executions, ending));
                  case 2 -> flights.submit(key, mine -> execute(executions, ending)).join();
                  case 3 ->
                      flights
                          .callAsync(
                              key,
                              mine ->
                                  CompletableFuture.completedFuture(execute(executions, ending)))
                          .join();
                  default -> leave(flights, "of thread " + Thread.currentThread(), executions);
                }
              } catch (CancellationException left) {
                cancelled.incrementAndGet();
              } catch (IllegalStateException
                  | SecurityException
                  | java.util.concurrent.CompletionException expected) {
                // One of the endings.
              }
            }
            return null;
          }));
    }
    for (Future<?> each : all) {
      each.get(60, TimeUnit.SECONDS);
    }
    Awaitility.await()
        .untilAsserted(() -> {
          FlightStats.Snapshot told = stats.snapshot();
          assertThat(told.values() + told.failures() + told.abandoned()).isEqualTo(told.started());
        });

    String page = prometheus.scrape();
    assertThat(calls).hasValue(40_000);
    assertThat(sum(page, "singleflight_calls_total")).isEqualTo(calls.get());
    assertThat(
            sum(page, "singleflight_executions_seconds_count")
                + sum(page, "singleflight_handoffs_total"))
        .isEqualTo(executions.get());
    assertThat(sum(page, "singleflight_calls_total{name=\"customers\",role=\"leader\"}"))
        .isEqualTo(sum(page, "singleflight_executions_seconds_count"));
    assertThat(sum(page, "singleflight_departures_total")).isEqualTo(cancelled.get());
    assertThat(
            sum(
                page,
                "singleflight_executions_seconds_count{name=\"customers\",outcome=\"abandoned\"}"))
        .isEqualTo(cancelled.get());
    assertThat(sum(page, "singleflight_executions_seconds_sum"))
        .isCloseTo(
            stats.snapshot().duration().toNanos() / 1e9,
            org.assertj.core.data.Percentage.withPercentage(0.001));
    for (String each :
        List.of(
            "singleflight_calls_total{name=\"customers\",role=\"follower\"}",
            "singleflight_handoffs_total",
            "singleflight_executions_seconds_count{name=\"customers\",outcome=\"value\"}",
            "singleflight_executions_seconds_count{name=\"customers\",outcome=\"failure\"}")) {
      assertThat(sum(page, each)).as(each).isPositive();
    }
    assertThat(sum(page, "singleflight_inflight")).isZero();
    assertThat(sum(page, "singleflight_waiting")).isZero();
    assertThat(page).doesNotContain("key 1");
  }

  private static String execute(AtomicLong executions, int ending) {
    executions.incrementAndGet();
    Thread.yield();
    return switch (ending) {
      case 0 -> throw new IllegalStateException("the key's");
      case 1 -> throw new SecurityException("the leader's own");
      default -> "value";
    };
  }

  /** Begins an execution on a key that nobody else uses, and abandons it. */
  private static void leave(SingleFlight<String, String> flights, String key, AtomicLong executions)
      throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CompletableFuture<String> future =
        flights.submit(
            key,
            mine -> {
              executions.incrementAndGet();
              begun.countDown();
              new CountDownLatch(1).await();
              return "never";
            });
    begun.await();
    future.cancel(true);
    future.join();
  }

  @Test
  void gauges_whileAHerdWaits_tellFlightsAndWhoWaitsBeyondThem() throws Exception {
    SingleFlight<String, String> flights = watched(registry, new FlightStats());
    List<Future<String>> herd = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      herd.add(threads.submit(() -> flights.call("a", this::hold)));
    }
    herd.add(threads.submit(() -> flights.call("b", this::hold)));
    Awaitility.await()
        .until(() -> flights.inFlight().stream().mapToInt(InFlight::callers).sum() == 11);
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
