package io.singleflight;

/**
 * The failure of a call that could only wait for itself: it asks for a key inside the work for that
 * same key, or closes a cycle over several keys, threads and instances (P7). The message names the
 * cycle: its keys, instances and threads.
 *
 * <p>It is thrown by calls that block; a future is completed with it only where a call asks for the
 * very key whose work its thread is performing, or where a work lets out what a call inside it met.
 * A cycle over futures or stages goes unseen.
 */
public class FlightDeadlockException extends IllegalStateException {

  private static final long serialVersionUID = 1;

  FlightDeadlockException(String message) {
    super(message);
  }
}
