package io.singleflight.benchmarks;

import io.singleflight.FlightListener;
import io.singleflight.FlightStats;
import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import io.singleflight.Work;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/**
 * One uncontended call with one option set: what the option costs.
 *
 * <pre>{@code java -jar benchmarks/target/benchmarks.jar jmh Options}</pre>
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@State(Scope.Benchmark)
public class Options {

  /** An option. */
  public enum Option {
    NONE("none", builder -> builder),
    NEXT("freshness(NEXT)", builder -> builder.freshness(Freshness.NEXT)),
    MAX_JOIN_AGE("maxJoinAge", builder -> builder.maxJoinAge(Duration.ofSeconds(5))),
    MAX_FOLLOWERS("maxFollowers", builder -> builder.maxFollowers(100)),
    HAND_OFF_ON("handOffOn", builder -> builder.handOffOn(IllegalStateException.class::isInstance)),
    LISTENER("listener that does nothing", builder -> builder.listener(new FlightListener<>() {})),
    STATS("listener(FlightStats)", builder -> builder.listener(new FlightStats()));

    final String title;
    private final UnaryOperator<SingleFlight.Builder<String, Object>> setter;

    Option(String title, UnaryOperator<SingleFlight.Builder<String, Object>> setter) {
      this.title = title;
      this.setter = setter;
    }
  }

  @Param public Option option;

  private SingleFlight<String, Object> flights;
  private Work<String, Object, RuntimeException> work;
  private Keys keys;

  @Setup
  public void create() {
    flights = option.setter.apply(SingleFlight.builder()).build();
    work = key -> key;
    keys = Keys.shareOf(Keys.shuffled(1024), 0, 1);
  }

  @Benchmark
  public Object call() throws InterruptedException {
    return flights.call(keys.next(), work);
  }
}
