package io.singleflight.micrometer;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.micrometer.context.ContextExecutorService;
import io.micrometer.context.ContextSnapshotFactory;
import io.micrometer.core.instrument.observation.DefaultMeterObservationHandler;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler.FirstMatchingCompositeObservationHandler;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.tracing.handler.DefaultTracingObservationHandler;
import io.micrometer.tracing.handler.TracingAwareMeterObservationHandler;
import io.micrometer.tracing.otel.bridge.OtelCurrentTraceContext;
import io.micrometer.tracing.otel.bridge.OtelTracer;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.SpanId;
import io.opentelemetry.sdk.testing.exporter.InMemorySpanExporter;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SimpleSpanProcessor;
import io.singleflight.FlightListener;
import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import io.singleflight.Work;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;
import java.util.stream.Collector;
import java.util.stream.Collectors;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Where the spans of followers belong, whichever thread ends them. */
class FollowerSpansTest {

  private final InMemorySpanExporter exporter = InMemorySpanExporter.create();
  private final SdkTracerProvider provider =
      SdkTracerProvider.builder().addSpanProcessor(SimpleSpanProcessor.create(exporter)).build();
  private final OtelTracer tracer =
      new OtelTracer(provider.get("test"), new OtelCurrentTraceContext(), event -> {});
  private final ObservationRegistry observations = ObservationRegistry.create();
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final CountDownLatch gate = new CountDownLatch(1);
  private final Semaphore begun = new Semaphore(0);
  private final CompletableFuture<String> stage = new CompletableFuture<>();

  FollowerSpansTest() {
    observations
        .observationConfig()
        .observationHandler(
            new FirstMatchingCompositeObservationHandler(
                new FlightTracingObservationHandler(tracer),
                new DefaultTracingObservationHandler(tracer)));
  }

  @AfterEach
  void end() {
    gate.countDown();
    threads.shutdownNow();
  }

  private SingleFlight<String, String> observed(Executor executor) {
    return ObservedSingleFlight.build(
        "customers", SingleFlight.<String, String>builder().executor(executor), observations);
  }

  private <T> T in(String span, Supplier<T> body) {
    return Observation.createNotStarted(span, observations).observe(body);
  }

  private SpanData span(String name) {
    Awaitility.await().until(() -> !spans(name).isEmpty());
    assertThat(spans(name)).hasSize(1);
    return spans(name).get(0);
  }

  private List<SpanData> spans(String name) {
    return exporter.getFinishedSpanItems().stream()
        .filter(span -> span.getName().equals(name))
        .toList();
  }

  private static String outcome(SpanData span) {
    return span.getAttributes().get(AttributeKey.stringKey("outcome"));
  }

  /** The tracer asked for the current span when the wait ended, and got that of who ended it. */
  @Test
  void spanOfAFollower_cancelledInsideAnotherSpan_isBelowItsOwnRequest() {
    SingleFlight<String, String> flights = observed(threads);
    CompletableFuture<String> leader = flights.callAsync("a", key -> stage);
    CompletableFuture<String> follower = in("mine", () -> flights.callAsync("a", key -> stage));
    assertThat(in("another", () -> follower.cancel(true))).isTrue();
    stage.complete("found");
    assertThat(leader.join()).isEqualTo("found");
    followIsBelow("mine");
  }

  @Test
  void spanOfAFollower_toldInlineInsideAnotherSpan_isBelowItsOwnRequest() throws Exception {
    landsInsideAnotherSpan(Runnable::run);
    followIsBelow("mine");
  }

  @Test
  void spanOfAFollower_toldByAnExecutorThatCarriesContext_isBelowItsOwnRequest() throws Exception {
    landsInsideAnotherSpan(carrying());
    followIsBelow("mine");
  }

  /** Such an executor carries the context of the leader, whose work it runs, to its followers. */
  @Test
  void spanOfAFollower_ofAWorkThatCarriesContext_isBelowItsOwnRequest() throws Exception {
    SingleFlight<String, String> flights = observed(carrying());
    CompletableFuture<String> leader = in("another", () -> flights.submit("a", this::hold));
    CompletableFuture<String> follower = in("mine", () -> flights.submit("a", this::hold));
    gate.countDown();
    assertThat(leader.get(20, SECONDS)).isEqualTo("a");
    assertThat(follower.get(20, SECONDS)).isEqualTo("a");
    followIsBelow("mine");
  }

  /** Such meters require a tracing context when they stop, and there is no span yet. */
  @Test
  void follow_metersThatKnowOfTracing_countIt() throws Exception {
    SimpleMeterRegistry meters = new SimpleMeterRegistry();
    observations
        .observationConfig()
        .observationHandler(
            new TracingAwareMeterObservationHandler<>(
                new DefaultMeterObservationHandler(meters), tracer));
    SingleFlight<String, String> flights = observed(Runnable::run);
    CompletableFuture<String> leader = flights.callAsync("a", key -> stage);
    CompletableFuture<String> follower = flights.callAsync("a", key -> stage);
    stage.complete("found");
    assertThat(leader.get(20, SECONDS) + follower.get(20, SECONDS)).isEqualTo("foundfound");
    assertThat(meters.get("singleflight.follow").timer().count()).isEqualTo(1);
    assertThat(meters.get("singleflight.flight").timer().count()).isEqualTo(1);
  }

  @Test
  void spanOfAFollower_thatIsObservedInNothing_hasNoParent() throws Exception {
    SingleFlight<String, String> flights = observed(Runnable::run);
    CompletableFuture<String> leader = flights.callAsync("a", key -> stage);
    CompletableFuture<String> follower = flights.callAsync("a", key -> stage);
    assertThat(in("another", () -> stage.complete("found"))).isTrue();
    assertThat(leader.get(20, SECONDS) + follower.get(20, SECONDS)).isEqualTo("foundfound");
    SpanData follow = span("customers follow");
    assertThat(follow.getParentSpanId()).isEqualTo(SpanId.getInvalid());
    assertThat(follow.getTraceId()).isNotEqualTo(span("another").getTraceId());
  }

  // Links of those that have no outcome to tell which execution it was

  private static String another(String key) {
    return new String(key);
  }

  private void leave(SingleFlight<String, String> flights, String key) {
    assertThat(flights.submit(another(key), own -> "not performed").cancel(true)).isTrue();
  }

  private SpanData leaver() {
    return spans("customers follow").stream()
        .filter(span -> "left".equals(outcome(span)))
        .collect(onlyElement());
  }

  private static <T> Collector<T, ?, T> onlyElement() {
    return Collectors.collectingAndThen(
        Collectors.toList(), all -> assertThat(all).hasSize(1).actual().get(0));
  }

  private static List<String> links(SpanData span) {
    return span.getLinks().stream().map(link -> link.getSpanContext().getSpanId()).toList();
  }

  /** A flight keeps its first caller's key object; the follower that takes over has another. */
  @Test
  void linkOfALeaver_afterAHandOff_isTheExecutionOfTheHeir() throws Exception {
    SingleFlight<String, String> flights = observed(threads);
    CompletableFuture<String> failing = new CompletableFuture<>();
    CompletableFuture<String> leader = flights.callAsync(another("a"), key -> failing);
    CompletableFuture<String> heir = flights.callAsync(another("a"), key -> begin(stage));
    failing.completeExceptionally(new InterruptedException("the leader's own"));
    begun.acquire();
    leave(flights, "a");
    stage.complete("found");
    assertThat(heir.get(20, SECONDS)).isEqualTo("found");
    assertThat(leader).isCompletedExceptionally();
    assertThat(links(leaver())).containsExactly(flight("value").getSpanId());
    assertThat(links(span("customers follow", "handed_off")))
        .containsExactly(flight("failure").getSpanId());
  }

  @Test
  void linkOfALeaver_behindABatch_isTheExecutionOfTheBatch() throws Exception {
    SingleFlight<String, String> flights = observed(threads);
    Future<Map<String, String>> batch =
        threads.submit(() ->
            flights.callAll(
                List.of(another("a"), another("b")),
                keys -> Map.of("a", begin(stage).join(), "b", "found")));
    begun.acquire();
    leave(flights, "b");
    CompletableFuture<String> follower = flights.submit(another("a"), key -> "not performed");
    stage.complete("found");
    assertThat(batch.get(20, SECONDS)).hasSize(2);
    assertThat(follower.get(20, SECONDS)).isEqualTo("found");
    assertThat(links(leaver())).containsExactly(flight("value").getSpanId());
  }

  @Test
  void linkOfAFollower_whoseKeyTheBatchHasNoValueFor_isTheExecutionOfTheBatch() throws Exception {
    SingleFlight<String, String> flights = observed(threads);
    Future<Map<String, String>> batch =
        threads.submit(() ->
            flights.callAll(
                List.of(another("a"), another("b")), keys -> Map.of("b", begin(stage).join())));
    begun.acquire();
    CompletableFuture<String> follower = flights.submit(another("a"), key -> "not performed");
    stage.complete("found");
    assertThat(batch.get(20, SECONDS)).containsOnlyKeys("b");
    assertThat(follower.get(20, SECONDS)).isNull();
    assertThat(links(span("customers follow"))).containsExactly(flight("value").getSpanId());
  }

  @Test
  void linksOfABatch_thatLeavesBecauseItsOwnWorkFails_areAllThatItJoined() throws Exception {
    SingleFlight<String, String> flights = observed(threads);
    List<CompletableFuture<String>> joined =
        List.of(
            flights.callAsync(another("a"), key -> stage),
            flights.callAsync(another("b"), key -> stage));
    assertThatThrownBy(() ->
            flights.callAll(
                List.of(another("a"), another("b"), "led"),
                keys -> {
                  throw new IllegalStateException("the batch's own");
                }))
        .isInstanceOf(IllegalStateException.class);
    stage.complete("found");
    joined.forEach(CompletableFuture::join);
    assertThat(links(leaver()))
        .containsExactlyInAnyOrderElementsOf(
            spans("customers flight").stream()
                .filter(span -> "value".equals(outcome(span)))
                .map(SpanData::getSpanId)
                .toList());
    assertThat(leaver().getEvents()).isEmpty();
  }

  /** A waiting flight shares the key object of the one ahead. */
  @Test
  void linkOfALeaver_inNext_isTheExecutionAheadUntilItsOwnHasBegun() throws Exception {
    SingleFlight<String, String> flights =
        ObservedSingleFlight.build(
            "customers",
            SingleFlight.<String, String>builder().freshness(Freshness.NEXT),
            observations);
    CompletableFuture<String> ahead = new CompletableFuture<>();
    CompletableFuture<String> running = flights.callAsync(another("a"), key -> ahead);
    CompletableFuture<String> first = flights.callAsync(another("a"), key -> begin(stage));
    leave(flights, "a");
    CompletableFuture<String> second = flights.submit(another("a"), key -> "not performed");
    ahead.complete("ahead");
    assertThat(running.get(20, SECONDS)).isEqualTo("ahead");
    begun.acquire();
    String flightAhead = flight("value").getSpanId();
    assertThat(links(leaver())).containsExactly(flightAhead);
    exporter.reset();
    assertThat(second.cancel(true)).isTrue();
    stage.complete("found");
    assertThat(first.get(20, SECONDS)).isEqualTo("found");
    assertThat(links(leaver())).containsExactly(flight("value").getSpanId());
  }

  @Test
  void linkOfALeaver_ofAFlightThatIsForgotten_isItsExecutionAndNotTheNewOne() throws Exception {
    SingleFlight<String, String> flights = observed(threads);
    String key = "one object";
    CompletableFuture<String> old = new CompletableFuture<>();
    CompletableFuture<String> leader = flights.callAsync(key, own -> old);
    CompletableFuture<String> follower = flights.submit(key, own -> "not performed");
    assertThat(flights.forget(key)).isTrue();
    CompletableFuture<String> anew = flights.callAsync(key, own -> stage);
    assertThat(follower.cancel(true)).isTrue();
    old.complete("old");
    assertThat(leader.get(20, SECONDS)).isEqualTo("old");
    assertThat(links(leaver())).containsExactly(flight("value").getSpanId());
    stage.complete("found");
    assertThat(anew.get(20, SECONDS)).isEqualTo("found");
  }

  /** Keys differ as objects; each work tells the span and the key that it ran for. */
  @ParameterizedTest
  @EnumSource(Freshness.class)
  void links_underLoadWithHandOffsAndLeavers_leadToAnExecutionOfTheirKey(Freshness freshness)
      throws Exception {
    LongAdder joined = new LongAdder();
    LongAdder executions = new LongAdder();
    Map<String, String> keyOfSpan = new ConcurrentHashMap<>();
    SingleFlight<String, String> flights =
        ObservedSingleFlight.build(
            "customers",
            SingleFlight.<String, String>builder()
                .freshness(freshness)
                .handOffOn(SecurityException.class::isInstance)
                .listener(
                    new FlightListener<>() {
                      @Override
                      public void joined(String key, int callers) {
                        joined.increment();
                      }
                    }),
            observations);
    List<Future<?>> all = new ArrayList<>();
    for (int thread = 0; thread < 8; thread++) {
      SplittableRandom random = new SplittableRandom(thread);
      all.add(
          threads.submit(() -> {
            for (int i = 0; i < 1_000; i++) {
              String key = another("key " + random.nextInt(2));
              int ending = random.nextInt(6);
              int kind = random.nextInt(7);
              in(
                  "request",
                  () -> {
                    keyOfSpan.put(spanNow(), key);
                    return call(
                        flights,
                        kind,
                        key,
                        () -> {
                          executions.increment();
                          keyOfSpan.put(spanNow(), key);
                          Thread.yield();
                          return switch (ending) {
                            case 0 -> throw new SecurityException("the leader's own");
                            case 1 -> throw new IllegalStateException("the key's");
                            default -> "value";
                          };
                        });
                  });
            }
          }));
    }
    for (Future<?> each : all) {
      each.get(60, SECONDS);
    }
    Awaitility.await()
        .untilAsserted(() -> {
          assertThat(spans("customers flight")).hasSize(executions.intValue());
          assertThat(spans("customers follow")).hasSize(joined.intValue());
        });

    Map<String, SpanData> flightsById =
        spans("customers flight").stream()
            .collect(Collectors.toMap(SpanData::getSpanId, span -> span));
    flightsById
        .values()
        .forEach(flight ->
            assertThat(keyOfSpan.get(flight.getParentSpanId()))
                .isEqualTo(keyOfSpan.get(flight.getSpanId())));
    Map<String, Integer> linked = new TreeMap<>();
    for (SpanData follow : spans("customers follow")) {
      String outcome = outcome(follow);
      linked.merge(outcome, follow.getLinks().size(), Integer::sum);
      assertThat(follow.getLinks()).hasSizeLessThanOrEqualTo(1);
      for (String link : links(follow)) {
        assertThat(flightsById).containsKey(link);
        assertThat(keyOfSpan).containsEntry(link, keyOfSpan.get(follow.getParentSpanId()));
      }
      if (outcome.equals("value") || outcome.equals("failure")) {
        assertThat(links(follow))
            .singleElement()
            .satisfies(link -> assertThat(outcome(flightsById.get(link))).isEqualTo(outcome));
      }
    }
    assertThat(linked)
        .containsOnlyKeys("failure", "handed_off", "left", "value")
        .allSatisfy((outcome, links) -> assertThat(links).as(outcome).isPositive());
  }

  private String spanNow() {
    return tracer.currentSpan().context().spanId();
  }

  private static Object call(
      SingleFlight<String, String> flights, int kind, String key, Supplier<String> work) {
    try {
      return switch (kind) {
        case 0 -> flights.call(key, mine -> work.get());
        case 1 -> flights.call(key, Duration.ofDays(1), mine -> work.get());
        case 2 -> flights.submit(key, mine -> work.get()).join();
        case 3 ->
            flights.callAsync(key, mine -> CompletableFuture.completedFuture(work.get())).join();
        case 4 -> flights.callAll(List.of(key), keys -> Map.of(key, work.get()));
        case 5 -> flights.call(key, Duration.ofNanos(1), mine -> work.get());
        default -> flights.submit(key, mine -> work.get()).cancel(true);
      };
    } catch (SecurityException
        | IllegalStateException
        | CompletionException
        | TimeoutException
        | InterruptedException failure) {
      return failure;
    }
  }

  private CompletableFuture<String> begin(CompletableFuture<String> work) {
    begun.release();
    return work;
  }

  private SpanData flight(String outcome) {
    return span("customers flight", outcome);
  }

  private SpanData span(String name, String outcome) {
    Awaitility.await()
        .until(() -> spans(name).stream().anyMatch(span -> outcome.equals(outcome(span))));
    return spans(name).stream()
        .filter(span -> outcome.equals(outcome(span)))
        .collect(onlyElement());
  }

  // The key

  private static final String SECRET = "ada@example.org";

  /** The messages of the library's exceptions name keys; a span records the messages. */
  @Test
  void spans_ofEveryExceptionOfTheLibrary_holdNoKey() throws Exception {
    SingleFlight<String, String> flights =
        ObservedSingleFlight.build(
            "customers", SingleFlight.<String, String>builder().maxFollowers(1), observations);
    CompletableFuture<String> leader = flights.callAsync(SECRET, key -> stage);
    List<Throwable> seen = new ArrayList<>();
    // A follower that runs out of time, alone and inside the work of another flight.
    Work<String, String, Exception> timedOut =
        key -> flights.call(SECRET, Duration.ofNanos(1), own -> "not performed");
    seen.add(catchThrowable(() -> timedOut.perform("")));
    seen.add(catchThrowable(() -> flights.call("outer 1", timedOut)));
    // A work that asks for its own key.
    seen.add(
        catchThrowable(() ->
            flights.call("self " + SECRET, key -> flights.call(key, own -> "not performed"))));
    // A flight that is full, alone and as a cause.
    CompletableFuture<String> follower = flights.submit(SECRET, key -> "not performed");
    seen.add(catchThrowable(() -> flights.call(SECRET, key -> "not performed")));
    seen.add(
        catchThrowable(() ->
            flights.call("outer 2", key -> flights.submit(SECRET, own -> "not performed").join())));
    stage.complete("found");
    assertThat(leader.get(20, SECONDS) + follower.get(20, SECONDS)).isEqualTo("foundfound");
    assertThat(seen).allSatisfy(each -> assertThat(each).hasStackTraceContaining(SECRET));
    assertThat(exporter.getFinishedSpanItems()).hasSizeGreaterThan(6);
    assertThat(exporter.getFinishedSpanItems())
        .allSatisfy(span -> {
          assertThat(span.getName()).doesNotContain(SECRET);
          assertThat(span.getStatus().getDescription()).doesNotContain(SECRET);
          assertThat(span.getAttributes().toString()).doesNotContain(SECRET);
          assertThat(span.getEvents().toString()).doesNotContain(SECRET);
        });
  }

  @Test
  void spans_ofAFailureOfAWork_recordItAsItIs() {
    SingleFlight<String, String> flights = observed(threads);
    assertThatThrownBy(() ->
            flights.call(
                "a",
                key -> {
                  throw new TimeoutException("of the database");
                }))
        .isInstanceOf(TimeoutException.class);
    assertThat(span("customers flight").getEvents().toString()).contains("of the database");
  }

  private Executor carrying() {
    return ContextExecutorService.wrap(
        threads, ContextSnapshotFactory.builder().clearMissing(true).build());
  }

  private void landsInsideAnotherSpan(Executor executor) throws Exception {
    SingleFlight<String, String> flights = observed(executor);
    CompletableFuture<String> leader = flights.callAsync("a", key -> stage);
    CompletableFuture<String> follower = in("mine", () -> flights.callAsync("a", key -> stage));
    assertThat(in("another", () -> stage.complete("found"))).isTrue();
    assertThat(leader.get(20, SECONDS)).isEqualTo("found");
    assertThat(follower.get(20, SECONDS)).isEqualTo("found");
  }

  private void followIsBelow(String request) {
    SpanData follow = span("customers follow");
    assertThat(follow.getParentSpanId()).isEqualTo(span(request).getSpanId());
    assertThat(follow.getTraceId()).isEqualTo(span(request).getTraceId());
  }

  private String hold(String key) throws InterruptedException {
    gate.await();
    return key;
  }
}
