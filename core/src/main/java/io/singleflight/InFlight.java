package io.singleflight;

import java.time.Duration;

/**
 * A flight in progress, as {@link SingleFlight#inFlight()} saw it. Immutable, if the key is.
 *
 * @param key the key object of the caller that registered the flight
 * @param age the time since the flight was registered; or, if its leader's thread makes more than
 *     about a million calls a second, since others first noticed the flight, by joining it or by
 *     asking for this. It is then less than the true age, never more
 * @param callers the number of callers aboard, the leader included
 * @param leader the name of the thread that performs the work; where none does, because the work
 *     has not begun or its stage is pending, the name of the thread that registered the flight
 * @param state whether an execution has begun
 * @param <K> the type of the key
 */
public record InFlight<K>(K key, Duration age, int callers, String leader, State state) {

  /** Whether an execution has begun. */
  public enum State {
    /** No work runs: it waits for its turn or for a thread, at first or after a hand-off. */
    WAITING,
    /** The work has begun, and it or its stage goes on. */
    RUNNING
  }
}
