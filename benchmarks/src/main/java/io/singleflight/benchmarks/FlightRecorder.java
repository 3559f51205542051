package io.singleflight.benchmarks;

import io.singleflight.SingleFlight;
import io.singleflight.Work;
import java.util.concurrent.TimeUnit;
import jdk.jfr.Recording;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * One uncontended call while JFR records nothing, records but not this event, and records each
 * flight.
 *
 * <pre>{@code java -jar benchmarks/target/benchmarks.jar jmh FlightRecorder}</pre>
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@State(Scope.Benchmark)
public class FlightRecorder {

  private static final String EVENT = "io.singleflight.Flight";

  /** What is recorded. */
  public enum Recorded {
    OFF("no recording"),
    OTHERS("a recording without the event"),
    FLIGHTS("a recording of every flight");

    final String title;

    Recorded(String title) {
      this.title = title;
    }
  }

  @Param public Recorded recorded;

  private Recording recording;
  private SingleFlight<String, Object> flights;
  private Work<String, Object, RuntimeException> work;
  private Keys keys;

  @Setup
  public void record() {
    if (recorded != Recorded.OFF) {
      recording = new Recording();
      recording.setToDisk(false);
      if (recorded == Recorded.FLIGHTS) {
        recording.enable(EVENT).withoutThreshold();
      } else {
        recording.disable(EVENT);
      }
      recording.start();
    }
    flights = SingleFlight.create();
    work = key -> key;
    keys = Keys.shareOf(Keys.shuffled(1024), 0, 1);
  }

  @TearDown
  public void stop() {
    if (recording != null) {
      recording.close();
    }
  }

  @Benchmark
  public Object call() throws InterruptedException {
    return flights.call(keys.next(), work);
  }
}
