package io.singleflight;

import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A caller's place aboard a flight, used for one wait. */
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
   * Whether this caller can be told to perform or to wake others: not while its listeners are told,
   * and a batch only while it waits in this seat.
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

  /** Returns what this caller gets, or null while that is open. */
  @Nullable Outcome<V> outcome() {
    Outcome<V> ownFailure = own;
    return ownFailure != null ? ownFailure : herd().outcome();
  }
}
