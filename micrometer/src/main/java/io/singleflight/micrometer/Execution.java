package io.singleflight.micrometer;

import org.jspecify.annotations.Nullable;

/**
 * One execution of a work, to those who wait for it. It holds neither what was found nor failed.
 */
final class Execution {

  /** What a follower's span is linked to: a tracer's {@code Link}, which need not be present. */
  volatile @Nullable Object link;

  volatile boolean ended;
}
