package io.singleflight.micrometer;

import static java.util.Objects.requireNonNull;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import io.singleflight.FlightListener;
import io.singleflight.InFlight;
import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The meters of one {@code SingleFlight}. As its listener it counts, and it watches the instance
 * for the gauges:
 *
 * <pre>{@code
 * FlightMeters meters = FlightMeters.of(registry, "customers");
 * SingleFlight<String, Customer> flights =
 *     meters.watch(
 *         SingleFlight.<String, Customer>builder().name("customers").listener(meters).build());
 * }</pre>
 *
 * <table class="striped">
 * <caption>Meters; all have the tag {@code name}, none has the key</caption>
 * <thead><tr><th scope="col">Name<th scope="col">Type, unit<th scope="col">More tags<th
 * scope="col">Meaning</thead>
 * <tbody>
 * <tr><th scope="row">{@code singleflight.calls}<td>counter, calls<td>{@code role}: {@code leader},
 * {@code follower}<td>calls that came aboard a flight; a batch counts once per key
 * <tr><th scope="row">{@code singleflight.executions}<td>timer<td>{@code outcome}: {@code value},
 * {@code failure}, {@code abandoned}<td>flights that ended, and the time since they were registered
 * <tr><th scope="row">{@code singleflight.handoffs}<td>counter, executions<td><td>further
 * executions, because the one before failed for a reason of its leader's own
 * <tr><th scope="row">{@code singleflight.departures}<td>counter, calls<td>{@code reason}: {@code
 * interrupted}, {@code timed_out}, {@code cancelled}<td>callers that left before the flight landed
 * <tr><th scope="row">{@code singleflight.inflight}<td>gauge, flights<td><td>flights in progress, as
 * {@link SingleFlight#inFlight()} lists them
 * <tr><th scope="row">{@code singleflight.waiting}<td>gauge, calls<td><td>callers aboard them beyond
 * the one that each flight performs for: what sharing saves right now
 * </tbody>
 * </table>
 *
 * <p>Instances are thread-safe. Two instances of one name in one registry share their counters, and
 * the gauges show the one that was watched last: give each {@code SingleFlight} a name of its own.
 */
public final class FlightMeters implements FlightListener<Object> {

  private final MeterRegistry registry;
  private final Tags tags;
  private final Counter leaders;
  private final Counter followers;
  private final Counter handOffs;
  private final Map<Departure, Counter> departures = new EnumMap<>(Departure.class);
  private final Map<Ending, Timer> endings = new EnumMap<>(Ending.class);

  private FlightMeters(MeterRegistry registry, String name) {
    this.registry = registry;
    this.tags = Tags.of("name", name);
    this.leaders = calls("leader");
    this.followers = calls("follower");
    this.handOffs =
        Counter.builder("singleflight.handoffs")
            .description("Further executions, the one before having failed for its leader alone")
            .tags(tags)
            .register(registry);
    for (Departure departure : Departure.values()) {
      departures.put(
          departure,
          Counter.builder("singleflight.departures")
              .description("Callers that left before the flight landed")
              .tags(tags.and("reason", tagOf(departure)))
              .register(registry));
    }
    for (Ending ending : Ending.values()) {
      endings.put(
          ending,
          Timer.builder("singleflight.executions")
              .description("Flights that ended, and the time since they were registered")
              .tags(tags.and("outcome", tagOf(ending)))
              .register(registry));
    }
  }

  private Counter calls(String role) {
    return Counter.builder("singleflight.calls")
        .description("Calls that came aboard a flight")
        .tags(tags.and("role", role))
        .register(registry);
  }

  /**
   * Registers the counters and timers of an instance, all at zero.
   *
   * @param registry where to register them
   * @param name the value of the tag {@code name}, best the name of the instance; not blank
   * @return a listener for the builder of that instance
   */
  public static FlightMeters of(MeterRegistry registry, String name) {
    requireNonNull(registry, "registry");
    if (requireNonNull(name, "name").isBlank()) {
      throw new IllegalArgumentException("name is blank; give a name to tell instances apart by");
    }
    return new FlightMeters(registry, name);
  }

  /**
   * Registers the gauges of an instance, which they do not keep from being collected. They take the
   * place of those of another one by this name.
   *
   * @param flights the instance whose listener this is
   * @param <S> its type
   * @return the instance
   */
  public <S extends SingleFlight<?, ?>> S watch(S flights) {
    requireNonNull(flights, "flights");
    register(
        Gauge.builder("singleflight.inflight", flights, all -> all.inFlight().size())
            .description("Flights in progress"),
        "singleflight.inflight");
    register(
        Gauge.builder("singleflight.waiting", flights, FlightMeters::waiting)
            .description("Callers aboard flights beyond the one that each performs for"),
        "singleflight.waiting");
    return flights;
  }

  /* A registry keeps the gauge that it has, though its instance may be long gone. */
  private void register(Gauge.Builder<?> gauge, String name) {
    registry.removeByPreFilterId(new Meter.Id(name, tags, null, null, Meter.Type.GAUGE));
    gauge.tags(tags).register(registry);
  }

  private static double waiting(SingleFlight<?, ?> flights) {
    return flights.inFlight().stream().mapToInt(InFlight::callers).map(all -> all - 1).sum();
  }

  private static String tagOf(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public void started(Object key) {
    leaders.increment();
  }

  @Override
  public void joined(Object key, int callers) {
    followers.increment();
  }

  @Override
  public void left(Object key, Departure departure) {
    count(departures.get(departure));
  }

  @Override
  public void handedOff(Object key, Throwable failure) {
    handOffs.increment();
  }

  @Override
  public void ended(Object key, Ending ending, Duration duration, int callers) {
    Timer timer = endings.get(ending);
    if (timer != null) {
      timer.record(duration);
    }
  }

  private static void count(@Nullable Counter counter) {
    if (counter != null) {
      counter.increment();
    }
  }
}
