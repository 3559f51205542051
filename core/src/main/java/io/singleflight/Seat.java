package io.singleflight;

import io.singleflight.FlightListener.Departure;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A caller's place aboard a flight, and its wait there. */
final class Seat<K, V extends @Nullable Object> {

  /** Who waits: a thread, or else a future. */
  final @Nullable Thread thread;

  final @Nullable CallFuture<V> future;

  /** Performs this caller's own work on the executor; null if its thread performs it itself. */
  final @Nullable Consumer<Seat<K, V>> takeOver;

  /** Whether this caller may find the flight full. */
  final boolean countsAsFollower;

  // written under the monitor of the line, which may be a new one
  @SuppressWarnings("NullAway.Init") // a caller uses its seat only once it is aboard
  volatile Flight<K, V> flight;

  /** What this caller gets instead of the flight's outcome: the failure that it led to. */
  volatile @Nullable Outcome<V> own;

  /** Whether this caller is to perform its work on its own thread, now. */
  volatile boolean appointed;

  /**
   * Whether this caller can be told to perform or to wake others: a thread only while it waits in
   * this seat, and a future once its listeners are told.
   */
  volatile boolean attentive;

  // guarded by the line
  boolean aboard;

  @Nullable Seat<K, V> previous;
  @Nullable Seat<K, V> next;

  private Seat(
      @Nullable Thread thread,
      @Nullable CallFuture<V> future,
      @Nullable Consumer<Seat<K, V>> takeOver,
      boolean countsAsFollower) {
    this.thread = thread;
    this.future = future;
    this.takeOver = takeOver;
    this.countsAsFollower = countsAsFollower;
  }

  /** The seat of a thread that performs its work itself. */
  static <K, V extends @Nullable Object> Seat<K, V> ofThread() {
    return new Seat<>(Thread.currentThread(), null, null, true);
  }

  /** The seat of a leader that performs already. */
  static <K, V extends @Nullable Object> Seat<K, V> ofLeader(Thread leader) {
    return new Seat<>(leader, null, null, true);
  }

  /** The seat of a thread whose work runs on the executor. */
  static <K, V extends @Nullable Object> Seat<K, V> ofThread(Consumer<Seat<K, V>> takeOver) {
    return new Seat<>(Thread.currentThread(), null, takeOver, true);
  }

  static <K, V extends @Nullable Object> Seat<K, V> ofBatch() {
    return new Seat<>(Thread.currentThread(), null, null, false);
  }

  static <K, V extends @Nullable Object> Seat<K, V> ofFuture(
      CallFuture<V> future, Consumer<Seat<K, V>> takeOver) {
    return new Seat<>(null, future, takeOver, true);
  }

  Line<K, V> line() {
    return flight.line;
  }

  /** Returns who performs what this caller waits for, or null. */
  @Nullable Performer awaited() {
    return line().awaited(this);
  }

  void board(Flight<K, V> boarded) {
    flight = boarded;
    aboard = true;
    attentive = false;
  }

  /** Whether this caller's thread may sleep until it is woken. */
  boolean isAsleep() {
    return thread != null && attentive && thread != Thread.currentThread();
  }

  /** Wakes this caller's thread if it may sleep; a permit would be left to one that is awake. */
  void wake() {
    if (isAsleep()) {
      LockSupport.unpark(thread);
    }
  }

  /** Returns what this caller gets, or null while that is open. */
  @Nullable Outcome<V> outcome() {
    Outcome<V> ownFailure = own;
    return ownFailure != null ? ownFailure : flight.outcome();
  }

  /** Waits for the outcome; returns null if this caller is to perform instead, and has begun. */
  @Nullable Outcome<V> awaitTurn(Performer performer) throws InterruptedException {
    Outcome<V> got = await(0, Long.MAX_VALUE);
    if (got == null) {
      line().begin(this, performer);
    }
    return got;
  }

  /**
   * Waits for the outcome; returns null if this caller is appointed, or has left in time-out.
   *
   * <p>Every way out does its duty. Who has the outcome wakes others. Who leaves is taken off board
   * first; if the flight has ended meanwhile it is too late to leave, and the outcome, which takes
   * but a moment, is waited for. An interrupt that did not make this caller leave is kept.
   */
  @Nullable Outcome<V> await(long start, long nanos) throws InterruptedException {
    boolean interrupted = false;
    boolean timed = nanos != Long.MAX_VALUE;
    @Nullable Performer waiting = null;
    try {
      try {
        waiting = Performer.waitIn(this);
      } catch (FlightDeadlockException deadlock) {
        if (leave(Departure.CANCELLED)) {
          throw deadlock;
        }
      }
      // Only now: whoever could perform, and cannot wait, would fail while its work is performed.
      line().instance().attend(this);
      while (true) {
        Outcome<V> got = outcome();
        if (got != null) {
          flight.wakeMore();
          return got;
        }
        if (Thread.interrupted()) {
          if (leave(Departure.INTERRUPTED)) {
            throw new InterruptedException("interrupted while waiting for " + line().describe());
          }
          interrupted = true;
        } else if (appointed && takeOver == null) {
          return null;
        } else if (!timed) {
          LockSupport.park(flight);
        } else {
          long left = nanos - (System.nanoTime() - start);
          if (left > 0) {
            LockSupport.parkNanos(flight, left);
          } else if (leave(Departure.TIMED_OUT)) {
            return null;
          } else {
            timed = false;
          }
        }
      }
    } finally {
      if (waiting != null) {
        waiting.waitNoMore();
      }
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private boolean leave(Departure departure) {
    return line().instance().leave(this, departure);
  }
}
