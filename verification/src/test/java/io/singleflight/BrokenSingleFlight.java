package io.singleflight;

import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** Call sharing as in a textbook, for the plain call only, and with one fault of choice. */
final class BrokenSingleFlight<K, V> implements SingleFlight<K, V> {

  enum Fault {
    /** None: this must pass. */
    NONE,
    /** The outcome is published before the flight is taken out of the table. */
    EAGER_PUBLISH,
    /** A flight takes out of the table whatever is there for its key. */
    REMOVE_BY_KEY,
    /** A follower of a failed flight performs its own work. */
    RE_RUN_ON_FAILURE,
    /** A landed flight is joined once more. */
    JOIN_AFTER_LAND,
    /** The leader's own failure leaves the flight without a leader. */
    LOST_HAND_OFF,
    /** The leader's own failure is everybody's. */
    NO_HAND_OFF,
    /** Landing wakes one follower only. */
    LOST_WAKE_UP,
    /** The table is searched and changed in two steps. */
    CHECK_THEN_ACT,
    /** Forgetting does nothing. */
    NO_FENCE,
    /** Each follower gets a copy of the failure. */
    COPIED_FAILURE
  }

  private final class Flight {
    final Condition changed = lock.newCondition();
    int followers;
    boolean vacant;
    @Nullable Outcome<V> outcome;
  }

  private final Fault fault;
  private final FlightListener<K> listener;
  private final Predicate<? super Throwable> handOffOn;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<K, Flight> table = new HashMap<>();

  BrokenSingleFlight(
      Fault fault, FlightListener<K> listener, Predicate<? super Throwable> handOffOn) {
    this.fault = fault;
    this.listener = listener;
    this.handOffOn = handOffOn;
  }

  @Override
  public <E extends Exception> V call(K key, Work<? super K, ? extends V, E> work)
      throws E, InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
    Flight flight;
    lock.lock();
    try {
      flight = table.get(key);
      if (flight == null && fault == Fault.CHECK_THEN_ACT) {
        lock.unlock();
        Thread.yield();
        lock.lock();
      }
      if (flight == null) {
        flight = new Flight();
        table.put(key, flight);
      } else {
        if (flight.outcome != null && fault == Fault.JOIN_AFTER_LAND) {
          table.remove(key, flight);
        }
        listener.joined(key, ++flight.followers);
        Outcome<V> outcome = await(flight);
        if (outcome != null) {
          return receive(key, outcome, work);
        }
      }
    } finally {
      lock.unlock();
    }
    return perform(key, flight, work);
  }

  /** Returns null if this caller is to perform its own work. */
  private @Nullable Outcome<V> await(Flight flight) throws InterruptedException {
    try {
      while (flight.outcome == null && !flight.vacant) {
        flight.changed.await();
      }
    } finally {
      flight.followers--;
    }
    if (flight.outcome == null) {
      flight.vacant = false;
    }
    return flight.outcome;
  }

  private <E extends Exception> V receive(
      K key, Outcome<V> outcome, Work<? super K, ? extends V, E> work)
      throws E, InterruptedException {
    if (outcome.failure() instanceof History.Failure failure) {
      if (fault == Fault.RE_RUN_ON_FAILURE) {
        return work.perform(key);
      }
      if (fault == Fault.COPIED_FAILURE) {
        return Outcome.<V>failure(new History.Failure(failure.executions, failure.own)).get();
      }
    }
    return outcome.get();
  }

  private V perform(K key, Flight flight, Work<? super K, ? extends V, ?> work) {
    Outcome<V> outcome;
    try {
      outcome = Outcome.value(work.perform(key));
    } catch (Throwable failure) {
      outcome = Outcome.failure(failure);
      if (fault != Fault.NO_HAND_OFF
          && (failure instanceof InterruptedException || handOffOn.test(failure))) {
        lock.lock();
        try {
          if (flight.followers > 0) {
            flight.vacant = fault != Fault.LOST_HAND_OFF;
            flight.changed.signalAll();
            return outcome.get();
          }
          // Nobody may come aboard any more: they would get what is the leader's own.
          table.remove(key, flight);
        } finally {
          lock.unlock();
        }
      }
    }
    if (fault == Fault.EAGER_PUBLISH) {
      publish(flight, outcome);
      Thread.yield();
    }
    lock.lock();
    try {
      if (fault == Fault.REMOVE_BY_KEY) {
        table.remove(key);
      } else if (fault != Fault.JOIN_AFTER_LAND) {
        table.remove(key, flight);
      }
      publish(flight, outcome);
    } finally {
      lock.unlock();
    }
    return outcome.get();
  }

  private void publish(Flight flight, Outcome<V> outcome) {
    lock.lock();
    try {
      flight.outcome = outcome;
      if (fault == Fault.LOST_WAKE_UP) {
        flight.changed.signal();
      } else {
        flight.changed.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public boolean forget(K key) {
    lock.lock();
    try {
      return fault != Fault.NO_FENCE && table.remove(key) != null;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public List<InFlight<K>> inFlight() {
    return List.of();
  }

  @Override
  public <E extends Exception> V call(
      K key, Duration timeout, Work<? super K, ? extends V, E> work) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletableFuture<V> submit(K key, Work<? super K, ? extends V, ?> work) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletableFuture<V> callAsync(
      K key, Function<? super K, ? extends CompletionStage<? extends V>> work) {
    throw new UnsupportedOperationException();
  }

  @Override
  public <E extends Exception> Map<K, V> callAll(
      Collection<? extends K> keys, BatchWork<K, V, E> work) {
    throw new UnsupportedOperationException();
  }

  @Override
  public K currentKey() {
    throw new UnsupportedOperationException();
  }
}
