package io.singleflight.micrometer;

import io.micrometer.observation.Observation;
import java.util.Set;

/** What the observation of a follower's wait is about. */
final class FollowContext extends Observation.Context {

  /** When the wait began, in nanoseconds since the epoch. */
  volatile long startNanos;

  /** The executions that the follower waited for, once it has stopped. */
  volatile Set<Execution> executions = Set.of();
}
