package io.singleflight;

import java.time.Duration;

/**
 * A receiver of what happens to flights, for metrics and logs.
 *
 * <p>Each callback runs on the thread that caused it, outside every lock, and delays what that
 * thread does next, the work of a leader included: callbacks should be short, and must not wait for
 * the flight that they are told of, nor for one whose work may wait for that: such a deadlock need
 * not be found (P7). What a callback throws is logged once per listener and changes nothing else.
 *
 * <p>Callbacks of one flight may come from several threads at once, so an implementation must be
 * thread-safe, and in another order than things happened: a flight may be {@link #joined} before it
 * is told to have {@link #started}, and be told to have {@link #ended} before that. Each flight is
 * started once and ended once. Nothing is told of a call that was refused before it had a flight.
 *
 * @param <K> the type of the keys
 */
public interface FlightListener<K> {

  /**
   * A flight was registered for its leader. In {@link Freshness#NEXT} its work may begin later, and
   * with {@code submit} it may wait for a thread.
   *
   * @param key the key of the flight
   */
  default void started(K key) {}

  /**
   * A follower came aboard.
   *
   * @param key the key of the flight
   * @param callers how many callers are aboard now, the leader included
   */
  default void joined(K key, int callers) {}

  /**
   * A caller left before the flight landed. Not fired for a caller that stays until then, nor for a
   * leader whose flight is {@linkplain #handedOff handed off}.
   *
   * @param key the key of the flight
   * @param departure how the caller left
   */
  default void left(K key, Departure departure) {}

  /**
   * The execution failed for a reason of the leader's own: the leader got the failure, and a
   * follower's work is performed instead.
   *
   * @param key the key of the flight
   * @param failure what the leader's execution failed with
   */
  default void handedOff(K key, Throwable failure) {}

  /**
   * A flight landed or was abandoned. Fired after the outcome was published, so callers may have
   * returned already; but not a leader that performs on its own thread, nor has the future of a
   * leader been completed yet.
   *
   * @param key the key of the flight
   * @param ending what it ended in
   * @param duration the time since the flight was registered
   * @param callers how many callers got the outcome, the leader included; 0 if abandoned
   */
  default void ended(K key, Ending ending, Duration duration, int callers) {}

  /** How a caller left. */
  enum Departure {
    /** Its thread was interrupted. */
    INTERRUPTED,
    /** Its timeout elapsed, or its future was completed with a {@code TimeoutException}. */
    TIMED_OUT,
    /**
     * Its future was cancelled, or completed by somebody else than the flight; or it gave up for
     * another reason: a deadlock, or, in a batch, the failure of another key.
     */
    CANCELLED
  }

  /** What a flight ended in. */
  enum Ending {
    /** The work returned a value, null included. */
    VALUE,
    /** The work failed. */
    FAILURE,
    /** The last caller left. */
    ABANDONED
  }
}
