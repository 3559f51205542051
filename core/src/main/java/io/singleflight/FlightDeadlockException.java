package io.singleflight;

/**
 * The failure of a call that could only wait for itself: it asks for a key inside the work for that
 * same key, or closes a cycle over several keys, threads and instances (P7). The message names the
 * cycle.
 */
public class FlightDeadlockException extends IllegalStateException {

  private static final long serialVersionUID = 1;

  FlightDeadlockException(String message) {
    super(message);
  }
}
