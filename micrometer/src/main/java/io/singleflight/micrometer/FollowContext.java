package io.singleflight.micrometer;

import static java.util.concurrent.TimeUnit.SECONDS;

import io.micrometer.observation.Observation;
import java.time.Instant;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What the observation of a follower's wait is about. */
final class FollowContext extends Observation.Context {

  private volatile long epochNanos;
  private volatile long ticks;

  /** The span that the follower came in: a tracer's {@code Span}, which need not be present. */
  volatile @Nullable Object parent;

  /** The executions that the follower waited for, once it has stopped. */
  volatile Set<Execution> executions = Set.of();

  void began() {
    Instant now = Instant.now();
    ticks = System.nanoTime();
    epochNanos = SECONDS.toNanos(now.getEpochSecond()) + now.getNano();
  }

  /** When the wait began, in nanoseconds since the epoch. */
  long startNanos() {
    return epochNanos;
  }

  /** The time now, in nanoseconds since the epoch, and never before the wait began. */
  long endNanos() {
    return epochNanos + (System.nanoTime() - ticks);
  }
}
