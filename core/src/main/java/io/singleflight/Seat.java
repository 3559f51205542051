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

  // written under the monitor of the herd
  private volatile @Nullable Herd<K, V> herd;

  /** What this caller gets instead of the flight's outcome: the failure that it led to. */
  volatile @Nullable Outcome<V> own;

  /** Whether this caller is to perform its work on its own thread, now. */
  volatile boolean appointed;

  /**
   * Whether this caller can be told to perform or to wake others: a thread only while it waits in
   * this seat, and a future once its listeners are told.
   */
  volatile boolean attentive;

  // guarded by the monitor of the herd
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

  Herd<K, V> herd() {
    Herd<K, V> boarded = herd;
    if (boarded == null) {
      throw new AssertionError("a seat is used before its caller is aboard");
    }
    return boarded;
  }

  Flight<K, V> flight() {
    return herd().flight;
  }

  void board(Herd<K, V> boarded) {
    herd = boarded;
    aboard = true;
    attentive = false;
  }

  boolean isAboard(Herd<K, V> which) {
    return herd == which;
  }

  /** Whether this caller's thread may sleep until it is woken. */
  boolean isAsleep() {
    return thread != null && attentive && thread != Thread.currentThread();
  }

  /** Returns what this caller gets, or null while that is open. */
  @Nullable Outcome<V> outcome() {
    Outcome<V> ownFailure = own;
    return ownFailure != null ? ownFailure : herd().outcome();
  }

  /** Waits for the outcome; returns null if this caller is to perform instead, and has begun. */
  @Nullable Outcome<V> awaitTurn(Performer performer) throws InterruptedException {
    Outcome<V> got = await(0, Long.MAX_VALUE);
    if (got == null) {
      herd().begin(this, performer);
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
      flight().instance().attend(this);
      while (true) {
        Outcome<V> got = outcome();
        if (got != null) {
          herd().wakeMore();
          return got;
        }
        if (Thread.interrupted()) {
          if (leave(Departure.INTERRUPTED)) {
            throw new InterruptedException("interrupted while waiting for " + flight().describe());
          }
          interrupted = true;
        } else if (appointed && takeOver == null) {
          return null;
        } else if (!timed) {
          LockSupport.park(flight());
        } else {
          long left = nanos - (System.nanoTime() - start);
          if (left > 0) {
            LockSupport.parkNanos(flight(), left);
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
    return flight().instance().leave(this, departure);
  }
}
