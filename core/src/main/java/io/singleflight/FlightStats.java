package io.singleflight;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;

/**
 * A {@link FlightListener} that counts. The calls that came aboard, a batch once per key, and the
 * executions, at most, follow from the counts; the work of an abandoned flight may not have begun:
 *
 * <pre>{@code
 * FlightStats.Snapshot counts = stats.snapshot();
 * long calls = counts.started() + counts.joined();
 * long executions = counts.started() + counts.handedOff();
 * }</pre>
 *
 * <p>An instance may listen to several single-flights, and then counts their sum. It is
 * thread-safe; a snapshot taken while calls are in progress may have counted one part of a flight
 * and not yet another.
 */
public final class FlightStats implements FlightListener<Object> {

  private final LongAdder started = new LongAdder();
  private final LongAdder joined = new LongAdder();
  private final LongAdder handedOff = new LongAdder();
  private final Map<Departure, LongAdder> left = new ConcurrentHashMap<>();
  private final Map<Ending, LongAdder> ended = new ConcurrentHashMap<>();
  private final LongAdder nanos = new LongAdder();

  /** Creates a listener whose counters are zero. */
  public FlightStats() {}

  @Override
  public void started(Object key) {
    started.increment();
  }

  @Override
  public void joined(Object key, int callers) {
    joined.increment();
  }

  @Override
  public void left(Object key, Departure departure) {
    left.computeIfAbsent(departure, each -> new LongAdder()).increment();
  }

  @Override
  public void handedOff(Object key, Throwable failure) {
    handedOff.increment();
  }

  @Override
  public void ended(Object key, Ending ending, Duration duration, int callers) {
    ended.computeIfAbsent(ending, each -> new LongAdder()).increment();
    nanos.add(duration.toNanos());
  }

  /**
   * Returns what has been counted until now.
   *
   * @return the counts
   */
  public Snapshot snapshot() {
    return new Snapshot(
        started.sum(),
        joined.sum(),
        sum(left, Departure.INTERRUPTED),
        sum(left, Departure.TIMED_OUT),
        sum(left, Departure.CANCELLED),
        handedOff.sum(),
        sum(ended, Ending.VALUE),
        sum(ended, Ending.FAILURE),
        sum(ended, Ending.ABANDONED),
        Duration.ofNanos(nanos.sum()));
  }

  private static <T> long sum(Map<T, LongAdder> counters, T counter) {
    LongAdder adder = counters.get(counter);
    return adder == null ? 0 : adder.sum();
  }

  /**
   * The counts at one moment.
   *
   * @param started flights registered
   * @param joined followers that came aboard
   * @param interrupted callers that left because their thread was interrupted
   * @param timedOut callers that left because their timeout elapsed
   * @param cancelled callers that left for another reason: {@link Departure#CANCELLED}
   * @param handedOff executions that failed for a reason of their leader's own
   * @param values flights that landed with a value
   * @param failures flights that landed with a failure
   * @param abandoned flights that the last caller left
   * @param duration the sum of the durations of the flights that ended, in whatever way
   */
  public record Snapshot(
      long started,
      long joined,
      long interrupted,
      long timedOut,
      long cancelled,
      long handedOff,
      long values,
      long failures,
      long abandoned,
      Duration duration) {}
}
