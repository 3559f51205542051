package io.singleflight.micrometer;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.context.ContextExecutorService;
import io.micrometer.context.ContextSnapshotFactory;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler.FirstMatchingCompositeObservationHandler;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.tracing.handler.DefaultTracingObservationHandler;
import io.micrometer.tracing.otel.bridge.OtelCurrentTraceContext;
import io.micrometer.tracing.otel.bridge.OtelTracer;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.SpanId;
import io.opentelemetry.sdk.testing.exporter.InMemorySpanExporter;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SimpleSpanProcessor;
import io.singleflight.SingleFlight;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

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
