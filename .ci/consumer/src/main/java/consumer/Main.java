package consumer;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.tracing.Tracer;
import io.singleflight.SingleFlight;
import io.singleflight.micrometer.FlightMeters;
import io.singleflight.micrometer.FlightTracingObservationHandler;
import io.singleflight.micrometer.ObservedSingleFlight;
import io.singleflight.reactor.MonoFlights;
import java.util.concurrent.CompletableFuture;
import reactor.core.publisher.Mono;

/** Uses every artifact but the starter once, and tells how it was run. */
final class Main {

  private Main() {}

  public static void main(String[] args) throws Exception {
    SimpleMeterRegistry registry = new SimpleMeterRegistry();
    FlightMeters meters = FlightMeters.of(registry, "consumer");
    ObservationRegistry observations = ObservationRegistry.create();
    observations
        .observationConfig()
        .observationHandler(new FlightTracingObservationHandler(Tracer.NOOP));
    SingleFlight<String, String> flights =
        meters.watch(
            ObservedSingleFlight.build(
                "consumer",
                SingleFlight.<String, String>builder().listener(meters),
                observations));

    CompletableFuture<String> upstream = new CompletableFuture<>();
    CompletableFuture<String> reactive =
        MonoFlights.over(flights).call("key", key -> Mono.fromFuture(upstream)).toFuture();
    CompletableFuture<String> future = flights.submit("key", key -> "not performed");
    check(registry.get("singleflight.waiting").gauge().value() == 1, "one waits");
    upstream.complete("shared");
    check("shared".equals(reactive.get()) && "shared".equals(future.get()), "both share");
    check(flights.call("key", key -> "anew").equals("anew"), "a later call performs anew");
    check(registry.get("singleflight.executions").timers().stream().mapToLong(t -> t.count()).sum() == 2,
        "two executions");

    System.out.printf(
        "%s on Java %s%n", modules() ? "modules" : "class path", Runtime.version().feature());
  }

  private static boolean modules() {
    boolean named = SingleFlight.class.getModule().isNamed();
    check(named == MonoFlights.class.getModule().isNamed(), "all are modules, or none");
    check(named == FlightMeters.class.getModule().isNamed(), "all are modules, or none");
    return named;
  }

  private static void check(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError("does not hold: " + what);
    }
  }
}
