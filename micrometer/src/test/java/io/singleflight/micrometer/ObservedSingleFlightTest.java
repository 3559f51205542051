package io.singleflight.micrometer;

import static io.singleflight.contract.Contract.callers;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.micrometer.context.ContextRegistry;
import io.micrometer.core.instrument.observation.DefaultMeterObservationHandler;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler.FirstMatchingCompositeObservationHandler;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.tracing.handler.DefaultTracingObservationHandler;
import io.micrometer.tracing.otel.bridge.OtelCurrentTraceContext;
import io.micrometer.tracing.otel.bridge.OtelTracer;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.sdk.testing.exporter.InMemorySpanExporter;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.data.LinkData;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SimpleSpanProcessor;
import io.singleflight.FlightListener;
import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Spans as a real exporter of OpenTelemetry's gets them, and the context that callers continue in.
 */
class ObservedSingleFlightTest {

  private static final Duration A_DAY = Duration.ofDays(1);
  private static final ThreadLocal<String> TENANT = new ThreadLocal<>();

  private final InMemorySpanExporter exporter = InMemorySpanExporter.create();
  private final SdkTracerProvider provider =
      SdkTracerProvider.builder().addSpanProcessor(SimpleSpanProcessor.create(exporter)).build();
  private final OtelTracer tracer =
      new OtelTracer(provider.get("test"), new OtelCurrentTraceContext(), event -> {});
  private final ObservationRegistry observations = ObservationRegistry.create();
  private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final CountDownLatch gate = new CountDownLatch(1);
  private final Semaphore held = new Semaphore(0);

  ObservedSingleFlightTest() {
    observations
        .observationConfig()
        .observationHandler(new DefaultMeterObservationHandler(meters))
        .observationHandler(
            new FirstMatchingCompositeObservationHandler(
                new FlightTracingObservationHandler(tracer),
                new DefaultTracingObservationHandler(tracer)));
  }

  @AfterEach
  void end() {
    gate.countDown();
    threads.shutdownNow();
    ContextRegistry.getInstance().removeThreadLocalAccessor("tenant");
    TENANT.remove();
  }

  private <V> SingleFlight<String, V> observed(Freshness freshness) {
    return ObservedSingleFlight.build(
        "customers",
        SingleFlight.<String, V>builder()
            .freshness(freshness)
            .handOffOn(SecurityException.class::isInstance),
        observations);
  }

  // Spans

  /** A value or failure tells the span that found it; a follower's link must lead to that span. */
  @ParameterizedTest
  @EnumSource(Freshness.class)
  void spans_underLoad_areOnePerExecutionAndFollowersAreLinkedToTheirs(Freshness freshness)
      throws Exception {
    SingleFlight<String, String> flights = observed(freshness);
    AtomicLong executions = new AtomicLong();
    Map<String, String> spanOfRequest = new java.util.concurrent.ConcurrentHashMap<>();
    List<Future<?>> all = new ArrayList<>();
    int calls = 8 * 1_500;
    for (int thread = 0; thread < 8; thread++) {
      SplittableRandom random = new SplittableRandom(thread);
      all.add(
          threads.submit(() -> {
            for (int i = 0; i < 1_500; i++) {
              String key = "key " + random.nextInt(2);
              int kind = random.nextInt(5);
              boolean fails = random.nextInt(4) == 0;
              if (random.nextInt(50) == 0) {
                flights.forget(key);
              }
              request(() -> {
                String request = spanNow();
                String found;
                try {
                  found = call(flights, kind, key, () -> tellSpan(executions, fails));
                } catch (Found failure) {
                  found = failure.span;
                }
                spanOfRequest.put(request, found);
                return null;
              });
            }
            return null;
          }));
    }
    for (Future<?> each : all) {
      each.get(60, TimeUnit.SECONDS);
    }

    Map<String, List<SpanData>> spans = spans();
    assertThat(spans.get("request")).hasSize(calls);
    assertThat(spans.get("customers flight")).hasSize((int) executions.get());
    assertThat(spans.get("customers follow")).hasSize(calls - (int) executions.get());
    Map<String, SpanData> flightsById = byId(spans.get("customers flight"));
    for (SpanData follow : spans.get("customers follow")) {
      String found = spanOfRequest.get(follow.getParentSpanId());
      if ("handed_off".equals(tag(follow, "outcome"))) {
        // A waiting flight may be performed by one that joined it while its first caller arrived.
        assertThat(freshness).isEqualTo(Freshness.NEXT);
        assertThat(flightsById).containsKey(found);
        continue;
      }
      assertThat(follow.getLinks()).hasSize(1);
      LinkData link = follow.getLinks().get(0);
      assertThat(link.getSpanContext().getSpanId()).isEqualTo(found);
      SpanData flight = flightsById.get(found);
      assertThat(link.getSpanContext().getTraceId()).isEqualTo(flight.getTraceId());
      assertThat(tag(follow, "outcome")).isEqualTo(tag(flight, "outcome"));
      assertThat(follow.getEndEpochNanos()).isGreaterThanOrEqualTo(follow.getStartEpochNanos());
      assertThat(follow.getStatus().getStatusCode() == StatusCode.ERROR)
          .isEqualTo("failure".equals(tag(follow, "outcome")));
    }
    Map<String, SpanData> requestsById = byId(spans.get("request"));
    for (SpanData flight : spans.get("customers flight")) {
      SpanData leader = requestsById.get(flight.getParentSpanId());
      assertThat(leader).isNotNull();
      assertThat(spanOfRequest).containsEntry(leader.getSpanId(), flight.getSpanId());
      assertThat(tag(flight, "name")).isEqualTo("customers");
      assertThat(flight.getAttributes().asMap().values()).noneMatch(each -> each.equals("key 1"));
    }
    assertThat(meters.get("singleflight.flight").timers().stream().mapToLong(t -> t.count()).sum())
        .isEqualTo(executions.get());
    assertThat(meters.get("singleflight.follow").timers().stream().mapToLong(t -> t.count()).sum())
        .isEqualTo(calls - executions.get());
    assertThat(meters.get("singleflight.follow.active").longTaskTimer().activeTasks()).isZero();
  }

  /** A failure that tells the span that it arose in. */
  private static final class Found extends RuntimeException {
    private static final long serialVersionUID = 1;
    final String span;

    Found(String span) {
      super("in span " + span);
      this.span = span;
    }
  }

  private String tellSpan(AtomicLong executions, boolean fails) {
    executions.incrementAndGet();
    String span = spanNow();
    Thread.yield();
    if (fails) {
      throw new Found(span);
    }
    return span;
  }

  private String spanNow() {
    return tracer.currentSpan().context().spanId();
  }

  private static String call(
      SingleFlight<String, String> flights,
      int kind,
      String key,
      java.util.function.Supplier<String> work)
      throws Exception {
    try {
      return switch (kind) {
        case 0 -> flights.call(key, mine -> work.get());
        case 1 -> flights.call(key, A_DAY, mine -> work.get());
        case 2 -> flights.submit(key, mine -> work.get()).join();
        case 3 ->
            flights.callAsync(key, mine -> CompletableFuture.completedFuture(work.get())).join();
        default -> flights.callAll(List.of(key), keys -> Map.of(key, work.get())).get(key);
      };
    } catch (CompletionException wrapper) {
      throw (Found) wrapper.getCause();
    }
  }

  private <T> T request(Callable<T> body) throws Exception {
    return Observation.createNotStarted("request", observations).observeChecked(body::call);
  }

  private Map<String, List<SpanData>> spans() {
    return exporter.getFinishedSpanItems().stream()
        .collect(Collectors.groupingBy(SpanData::getName));
  }

  private static Map<String, SpanData> byId(List<SpanData> spans) {
    return spans.stream().collect(Collectors.toMap(SpanData::getSpanId, span -> span));
  }

  private static String tag(SpanData span, String name) {
    return span.getAttributes().get(AttributeKey.stringKey(name));
  }

  /** What the leader's work does nests in the flight's span, and that in the leader's request. */
  @Test
  void spanOfTheFlight_workOnTheExecutor_isBelowTheLeadersAndAboveTheQuerys() throws Exception {
    SingleFlight<String, String> flights = observed(Freshness.RUNNING);
    request(() ->
        flights.call(
            "a",
            A_DAY,
            key -> Observation.createNotStarted("query", observations).observe(() -> "value")));
    Map<String, List<SpanData>> spans = spans();
    SpanData request = spans.get("request").get(0);
    SpanData flight = spans.get("customers flight").get(0);
    SpanData query = spans.get("query").get(0);
    assertThat(flight.getParentSpanId()).isEqualTo(request.getSpanId());
    assertThat(query.getParentSpanId()).isEqualTo(flight.getSpanId());
    assertThat(spans).doesNotContainKey("customers follow");
    assertThat(tag(flight, "outcome")).isEqualTo("value");
  }

  @Test
  void spanOfAFollower_thatLeft_isLinkedToWhatItWaitedFor() throws Exception {
    SingleFlight<String, String> flights = observed(Freshness.RUNNING);
    Future<String> leader = threads.submit(() -> flights.call("a", this::hold));
    held.acquire();
    assertThatThrownBy(() -> flights.call("a", Duration.ofMillis(1), this::hold))
        .isInstanceOf(TimeoutException.class);
    flights.submit("a", this::hold).cancel(true);
    flights.submit("a", this::hold).complete("own");
    flights.submit("a", this::hold).completeExceptionally(new IllegalStateException("own"));
    gate.countDown();
    assertThat(leader.get(20, TimeUnit.SECONDS)).isEqualTo("a");
    Map<String, List<SpanData>> spans = spans();
    SpanData flight = spans.get("customers flight").get(0);
    assertThat(spans.get("customers follow"))
        .hasSize(4)
        .allSatisfy(follow -> {
          assertThat(tag(follow, "outcome")).isEqualTo("left");
          assertThat(follow.getLinks())
              .singleElement()
              .satisfies(link ->
                  assertThat(link.getSpanContext().getSpanId()).isEqualTo(flight.getSpanId()));
        });
  }

  @Test
  void spanOfAFollower_thatIsHandedTheFlight_endsWhereItsOwnExecutionBegins() throws Exception {
    SingleFlight<String, String> flights = observed(Freshness.RUNNING);
    CountDownLatch fail = new CountDownLatch(1);
    Future<String> leader =
        threads.submit(() ->
            flights.call(
                "a",
                key -> {
                  held.release();
                  fail.await();
                  throw new SecurityException("the leader's own");
                }));
    held.acquire();
    CompletableFuture<String> heir = flights.submit("a", key -> "by the heir");
    CompletableFuture<String> other = flights.submit("a", key -> "by the other");
    awaitCallers(flights, 3);
    fail.countDown();
    assertThat(heir.get(20, TimeUnit.SECONDS)).isEqualTo("by the heir");
    assertThat(other.get(20, TimeUnit.SECONDS)).isEqualTo("by the heir");
    assertThatThrownBy(() -> leader.get(20, TimeUnit.SECONDS))
        .hasCauseInstanceOf(SecurityException.class);
    Map<String, List<SpanData>> spans = spans();
    assertThat(spans.get("customers flight"))
        .extracting(span -> tag(span, "outcome"))
        .containsExactlyInAnyOrder("failure", "value");
    assertThat(spans.get("customers follow"))
        .extracting(span -> tag(span, "outcome"))
        .containsExactlyInAnyOrder("handed_off", "value");
    String last =
        spans.get("customers flight").stream()
            .filter(span -> "value".equals(tag(span, "outcome")))
            .findAny()
            .orElseThrow()
            .getSpanId();
    assertThat(spans.get("customers follow"))
        .filteredOn(span -> "value".equals(tag(span, "outcome")))
        .singleElement()
        .satisfies(span ->
            assertThat(span.getLinks())
                .singleElement()
                .satisfies(link -> assertThat(link.getSpanContext().getSpanId()).isEqualTo(last)));
  }

  @Test
  void spanOfABatch_isLinkedToEachFlightThatItJoined() throws Exception {
    SingleFlight<String, String> flights = observed(Freshness.RUNNING);
    Future<String> a = threads.submit(() -> flights.call("a", this::hold));
    Future<String> b = threads.submit(() -> flights.call("b", this::hold));
    held.acquire(2);
    Future<Map<String, String>> batch =
        threads.submit(() ->
            flights.callAll(
                List.of("a", "led", "b", "absent"), keys -> Map.of("led", "by the batch")));
    awaitCallers(flights, 4);
    gate.countDown();
    assertThat(batch.get(20, TimeUnit.SECONDS))
        .isEqualTo(Map.of("a", "a", "b", "b", "led", "by the batch"));
    assertThat(a.get() + b.get()).isEqualTo("ab");
    Map<String, List<SpanData>> spans = spans();
    assertThat(spans.get("customers flight")).hasSize(3);
    assertThat(spans.get("customers follow"))
        .singleElement()
        .satisfies(span -> assertThat(span.getLinks()).hasSize(2));
  }

  /**
   * The first caller of a waiting flight still hears its listeners when the flight ahead lands, so
   * the batch that joined performs.
   */
  @Test
  void spanOfABatch_thatIsHandedTheFlight_endsWhereItsOwnExecutionBegins() throws Exception {
    CompletableFuture<Void> first = new CompletableFuture<>();
    AtomicInteger started = new AtomicInteger();
    SingleFlight<String, String> flights =
        ObservedSingleFlight.build(
            "customers",
            SingleFlight.<String, String>builder()
                .freshness(Freshness.NEXT)
                .listener(
                    new FlightListener<>() {
                      @Override
                      public void started(String key) {
                        if (started.incrementAndGet() == 2) {
                          held.release();
                          first.join();
                        }
                      }
                    }),
            observations);
    Future<String> ahead = threads.submit(() -> flights.call("a", this::hold));
    held.acquire();
    Future<String> inItsListener = threads.submit(() -> flights.call("a", key -> "by the first"));
    held.acquire();
    Future<Map<String, String>> batch =
        threads.submit(() -> flights.callAll(List.of("a"), keys -> Map.of("a", "by the batch")));
    awaitCallers(flights, 3);
    gate.countDown();
    assertThat(batch.get(20, TimeUnit.SECONDS)).isEqualTo(Map.of("a", "by the batch"));
    first.complete(null);
    assertThat(inItsListener.get(20, TimeUnit.SECONDS)).isEqualTo("by the batch");
    assertThat(ahead.get(20, TimeUnit.SECONDS)).isEqualTo("a");
    Map<String, List<SpanData>> spans = spans();
    assertThat(spans.get("customers flight")).hasSize(2);
    assertThat(spans.get("customers follow"))
        .singleElement()
        .satisfies(span -> assertThat(tag(span, "outcome")).isEqualTo("handed_off"));
  }

  @Test
  void spanOfABatch_whoseOwnWorkFails_leavesWhatItJoined() throws Exception {
    SingleFlight<String, String> flights = observed(Freshness.RUNNING);
    Future<String> a = threads.submit(() -> flights.call("a", this::hold));
    held.acquire();
    assertThatThrownBy(() ->
            flights.callAll(
                List.of("a", "led"),
                keys -> {
                  throw new Found("its own");
                }))
        .isInstanceOf(Found.class);
    gate.countDown();
    assertThat(a.get(20, TimeUnit.SECONDS)).isEqualTo("a");
    assertThat(spans().get("customers follow"))
        .singleElement()
        .satisfies(span -> assertThat(tag(span, "outcome")).isEqualTo("left"));
  }

  /** Without a tracer the observations are timers, and the context is carried all the same. */
  @Test
  void build_withoutHandlers_carriesOnlyTheContext() throws Exception {
    carryTenant();
    SingleFlight<String, String> flights =
        ObservedSingleFlight.build("quiet", SingleFlight.builder(), ObservationRegistry.NOOP);
    TENANT.set("blue");
    assertThat(flights.submit("a", key -> TENANT.get()).get(20, TimeUnit.SECONDS))
        .isEqualTo("blue");
  }

  // Context

  @Test
  void work_onTheExecutor_seesItsCallersContextAlsoAfterAHandOffAndInNext() throws Exception {
    carryTenant();
    for (Freshness freshness : Freshness.values()) {
      SingleFlight<String, String> flights = observed(freshness);
      CountDownLatch end = new CountDownLatch(1);
      Future<String> ahead =
          threads.submit(() ->
              as(
                  "green",
                  () ->
                      flights.call(
                          "a",
                          key -> {
                            held.release();
                            end.await();
                            throw new SecurityException("green's own");
                          })));
      held.acquire();
      CompletableFuture<String> submitted =
          as("blue", () -> flights.submit("a", key -> TENANT.get()));
      awaitCallers(flights, 2);
      end.countDown();
      assertThat(submitted.get(20, TimeUnit.SECONDS)).isEqualTo("blue");
      assertThatThrownBy(ahead::get).hasCauseInstanceOf(SecurityException.class);
      assertThat(as("red", () -> flights.call("b", A_DAY, key -> TENANT.get()))).isEqualTo("red");
      assertThat(as(null, () -> flights.submit("c", key -> "tenant " + TENANT.get()).get()))
          .isEqualTo("tenant null");
    }
  }

  @Test
  void follower_continues_inItsOwnContext() throws Exception {
    carryTenant();
    SingleFlight<String, String> flights = observed(Freshness.RUNNING);
    List<CompletableFuture<String>> continued = new ArrayList<>();
    Map<String, CompletableFuture<String>> blocking = new HashMap<>();
    as(
        "leader",
        () ->
            continued.add(
                flights
                    .submit("a", this::hold)
                    .thenApply(value -> TENANT.get() + " in " + spanOrNone())));
    held.acquire();
    for (String tenant : List.of("blue", "red")) {
      as(
          tenant,
          () ->
              request(() ->
                  continued.add(
                      flights
                          .submit("a", this::hold)
                          .thenApply(value -> TENANT.get() + " in " + spanOrNone()))));
      CompletableFuture<String> waiter = new CompletableFuture<>();
      blocking.put(tenant, waiter);
      threads.execute(() -> {
        TENANT.set(tenant);
        try {
          flights.call("a", this::hold);
          waiter.complete(TENANT.get());
        } catch (Throwable failure) {
          waiter.completeExceptionally(failure);
        } finally {
          TENANT.remove();
        }
      });
    }
    awaitCallers(flights, 5);
    gate.countDown();
    List<String> requests = new ArrayList<>(List.of("none"));
    Awaitility.await().until(() -> spans().getOrDefault("request", List.of()).size() == 2);
    spans().get("request").forEach(span -> requests.add(span.getSpanId()));
    for (int i = 0; i < 3; i++) {
      assertThat(continued.get(i).get(20, TimeUnit.SECONDS))
          .isEqualTo(List.of("leader", "blue", "red").get(i) + " in " + requests.get(i));
    }
    for (String tenant : List.of("blue", "red")) {
      assertThat(blocking.get(tenant).get(20, TimeUnit.SECONDS)).isEqualTo(tenant);
    }
  }

  private String spanOrNone() {
    return tracer.currentSpan() == null ? "none" : spanNow();
  }

  private static void carryTenant() {
    ContextRegistry.getInstance().registerThreadLocalAccessor("tenant", TENANT);
  }

  private static <T> T as(String tenant, Callable<T> body) throws Exception {
    if (tenant == null) {
      TENANT.remove();
    } else {
      TENANT.set(tenant);
    }
    try {
      return body.call();
    } finally {
      TENANT.remove();
    }
  }

  private String hold(String key) throws InterruptedException {
    held.release();
    gate.await();
    return key;
  }

  private static void awaitCallers(SingleFlight<?, ?> flights, int expected) {
    Awaitility.await().until(() -> callers(flights) == expected);
  }
}
