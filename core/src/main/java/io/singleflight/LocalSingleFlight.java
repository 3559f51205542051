package io.singleflight;

import static java.util.Objects.requireNonNull;
import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.singleflight.FlightListener.Departure;
import io.singleflight.FlightListener.Ending;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Call sharing within a JVM: the table of flights, and the flow of a call. */
final class LocalSingleFlight<K, V extends @Nullable Object> implements SingleFlight<K, V> {

  /*
   * The flow of a call:
   *
   *   1. Look the key up. None: register a fresh flight, as its leader. Found: take a seat on it, as
   *      a follower; in NEXT, on the flight that waits behind it, if it has begun.
   *   2. Leader: perform the work, outside every lock, catching whatever it throws (perform).
   *   3. Land: end the flight, take it out of the table, publish its outcome, wake (land). If the
   *      failure was the leader's own and others are aboard, hand off instead (conclude).
   *   4. Follower: wait (await); then wake others and take the outcome, or perform its own work if
   *      appointed, or leave (leave). When the last has left, the flight is abandoned (abandon).
   *
   * A flight that ends for the table (landed, abandoned, forgotten, too old) is removed by identity,
   * so it never evicts a successor. In NEXT the slot of a key holds the flight at the head of the
   * line, and the one that waits behind takes its place (retire); whoever finds an ended flight
   * there goes on to the one behind it, or helps to remove it.
   */

  private final FlightTable<K, V> table = new FlightTable<>();
  private final String name;
  private final Errands errands;
  private final Freshness freshness;
  private final long maxJoinAge;
  private final int maxFollowers;
  private final Predicate<? super Throwable> handOffOn;
  private final Listeners<K> listeners;
  private final LongSupplier nanoClock;

  LocalSingleFlight(SingleFlight.Builder<K, V> options, LongSupplier nanoClock) {
    this.name = options.name;
    this.errands = new Errands(options.executor, DefaultExecutor.named(options.name));
    this.freshness = options.freshness;
    this.maxJoinAge =
        options.maxJoinAge == null ? Long.MAX_VALUE : NANOSECONDS.convert(options.maxJoinAge);
    this.maxFollowers = options.maxFollowers;
    this.handOffOn = options.handOffOn;
    this.listeners = new Listeners<>(options.listeners);
    this.nanoClock = nanoClock;
  }

  // The kinds of calls

  @Override
  public <E extends Exception> V call(K key, Work<? super K, ? extends V, E> work)
      throws E, InterruptedException {
    int hash = hash(key);
    requireNonNull(work, "work");
    failIfInterrupted();
    Performance performance = new Performance(this, key);
    Flight<K, V> flight = newFlight(key, hash, performance, null);
    Seat<K, V> seat = enter(flight, Seat::ofThread);
    if (seat != null) {
      Outcome<V> outcome = awaitTurn(seat, performance);
      if (outcome != null) {
        return outcome.get();
      }
      flight = seat.flight();
    }
    return perform(flight, performance, () -> work.perform(key)).get();
  }

  @Override
  public <E extends Exception> V call(K key, Duration timeout, Work<? super K, ? extends V, E> work)
      throws E, InterruptedException, TimeoutException {
    int hash = hash(key);
    long nanos = NANOSECONDS.convert(requireNonNull(timeout, "timeout"));
    requireNonNull(work, "work");
    failIfInterrupted();
    Outcome<V> outcome = null;
    if (nanos > 0) {
      long start = System.nanoTime();
      Seat<K, V> seat = Seat.ofThread(own -> performOnExecutor(own, key, work));
      enterOnExecutor(key, hash, seat);
      outcome = await(seat, start, nanos);
    }
    if (outcome == null) {
      throw new TimeoutException(
          "%s did not land within %s".formatted(Flight.describe(key, name), timeout));
    }
    return outcome.get();
  }

  @Override
  public CompletableFuture<V> submit(K key, Work<? super K, ? extends V, ?> work) {
    int hash = hash(key);
    requireNonNull(work, "work");
    return futureOf(
        own -> performOnExecutor(own, key, work), seat -> enterOnExecutor(key, hash, seat));
  }

  @Override
  public CompletableFuture<V> callAsync(
      K key, Function<? super K, ? extends CompletionStage<? extends V>> work) {
    int hash = hash(key);
    requireNonNull(work, "work");
    return futureOf(
        own -> {
          Performance performance = new Performance(this, key);
          if (own.flight().begin(own, performance)) {
            performAsync(own.flight(), performance, () -> work.apply(key));
          }
        },
        seat -> {
          Performance performance = new Performance(this, key);
          Flight<K, V> flight = newFlight(key, hash, performance, seat);
          if (enter(flight, () -> seat) == null) {
            performAsync(flight, performance, () -> work.apply(key));
          }
        });
  }

  @Override
  public <E extends Exception> Map<K, V> callAll(
      Collection<? extends K> keys, BatchWork<K, V, E> work) throws E, InterruptedException {
    Map<K, Integer> hashes = new LinkedHashMap<>();
    for (K key : requireNonNull(keys, "keys")) {
      hashes.put(key, hash(key));
    }
    requireNonNull(work, "work");
    failIfInterrupted();
    hashes.forEach((key, hash) -> {
      Flight<K, V> flight = table.find(key, hash);
      if (flight != null) {
        Performance.failIfOwn(flight);
      }
    });
    return new Batch<>(this, hashes, work).call();
  }

  @Override
  @SuppressWarnings("unchecked")
  public K currentKey() {
    Performance performance = Performance.of(this);
    if (performance == null || performance.key == null) {
      throw new IllegalStateException(
          "this thread performs no work of a single key of %s; ask inside the work, on its thread"
              .formatted(name));
    }
    return (K) performance.key;
  }

  @Override
  public boolean forget(K key) {
    int hash = hash(key);
    boolean detached = false;
    Flight<K, V> flight = table.find(key, hash);
    while (flight != null && !detached) {
      detached = flight.detach();
      Flight<K, V> waiting = flight.waitingBehind();
      table.remove(flight);
      if (waiting != null) {
        detached |= waiting.detach();
        table.remove(waiting);
        appoint(waiting.promote());
      }
      flight = table.find(key, hash);
    }
    return detached;
  }

  @Override
  public List<InFlight<K>> inFlight() {
    long now = nanoClock.getAsLong();
    List<InFlight<K>> all = new ArrayList<>();
    for (Flight<K, V> flight : table.flights()) {
      if (flight.isLive()) {
        all.add(flight.snapshot(now));
      }
      Flight<K, V> waiting = flight.waitingBehind();
      if (waiting != null) {
        all.add(waiting.snapshot(now));
      }
    }
    return Collections.unmodifiableList(all);
  }

  // Taking a seat

  /** Registers a fresh flight, or else takes a seat for its caller; returns that seat or null. */
  @Nullable Seat<K, V> enter(Flight<K, V> fresh, Supplier<Seat<K, V>> newSeat) {
    while (true) {
      Flight<K, V> found = table.insert(fresh);
      if (found == fresh) {
        listeners.tell(listener -> listener.started(fresh.key));
        return null;
      }
      Seat<K, V> seat = newSeat.get();
      if (join(found, seat)) {
        return seat;
      }
    }
  }

  private void enterOnExecutor(K key, int hash, Seat<K, V> seat) {
    if (enter(newFlight(key, hash, null, seat), () -> seat) == null) {
      appoint(seat);
    }
  }

  /** Takes a seat on a flight or on the one that waits behind it; returns false if it is gone. */
  private boolean join(Flight<K, V> found, Seat<K, V> seat) {
    if (maxJoinAge != Long.MAX_VALUE && nanoClock.getAsLong() - found.registeredAt > maxJoinAge) {
      found.detach();
    }
    // A future may wait behind the work of its own thread: that is no deadlock.
    if (seat.future == null || freshness == Freshness.RUNNING) {
      Performance.failIfOwn(found);
    }
    Flight<K, V> flight = found;
    while (true) {
      int callers = flight.board(seat, maxFollowers, freshness);
      if (callers == Flight.FULL) {
        throw new TooManyFollowersException(
            "%s has its %d followers, as many as maxFollowers allows"
                .formatted(flight.describe(), maxFollowers));
      }
      if (callers != Flight.GONE) {
        listeners.tell(listener -> listener.joined(found.key, callers));
        attend(flight, seat);
        return true;
      }
      Flight<K, V> waiting =
          freshness == Freshness.NEXT ? flight.waitingBehind(seat, nanoClock.getAsLong()) : null;
      if (waiting == null) {
        if (flight == found) {
          table.remove(found);
        }
        return false;
      }
      if (seat.isAboard(waiting)) {
        listeners.tell(listener -> listener.started(waiting.key));
        attend(waiting, seat);
        return true;
      }
      flight = waiting;
    }
  }

  /* A batch attends later, when it waits in that seat. */
  private void attend(Flight<K, V> flight, Seat<K, V> seat) {
    if (seat.countsAsFollower) {
      appoint(flight.attend(seat));
    }
  }

  /** Has a caller perform its work: wakes its thread, or hands the work to the executor. */
  private void appoint(@Nullable Seat<K, V> seat) {
    if (seat != null && seat.takeOver != null) {
      errands.execute(
          () -> seat.takeOver.accept(seat),
          refusal -> {
            if (seat.flight().begin(seat, null)) {
              land(seat.flight(), Outcome.failure(refusal));
            }
          });
    } else if (seat != null) {
      LockSupport.unpark(seat.thread);
    }
  }

  // Performing

  /** Performs a work on this thread and concludes the flight; returns what the work ended in. */
  private Outcome<V> perform(
      Flight<K, V> flight, Performance performance, Callable<? extends V> work) {
    Outcome<V> outcome = performance.perform(work);
    conclude(flight, outcome, performance.wasInterrupted());
    return outcome;
  }

  private <E extends Exception> void performOnExecutor(
      Seat<K, V> seat, K key, Work<? super K, ? extends V, E> work) {
    Performance performance = new Performance(this, key);
    if (seat.flight().begin(seat, performance)) {
      perform(seat.flight(), performance, () -> work.perform(key));
    }
  }

  private void performAsync(
      Flight<K, V> flight,
      Performance performance,
      Callable<? extends CompletionStage<? extends V>> work) {
    Outcome<CompletionStage<? extends V>> begun =
        performance.perform(() -> requireNonNull(work.call(), "the stage that the work returned"));
    try {
      CompletionStage<? extends V> stage = begun.get();
      if (flight.continueAs(stage)) {
        stage.whenComplete((value, failure) ->
            conclude(
                flight,
                failure == null ? Outcome.value(value) : Outcome.failure(unwrapped(failure)),
                false));
      } else {
        Flight.cancel(stage);
      }
    } catch (Throwable failure) {
      conclude(flight, Outcome.failure(failure), performance.wasInterrupted());
    }
  }

  // Ending

  /** Lands a flight, or hands it off if its failure was the leader's own and others are aboard. */
  void conclude(Flight<K, V> flight, Outcome<V> outcome, boolean interrupted) {
    Throwable failure = outcome.failure();
    Flight.HandOff<K, V> handOff =
        failure != null && isLeadersOwn(failure, interrupted) ? flight.handOff(failure) : null;
    if (failure == null || handOff == null) {
      land(flight, outcome);
      return;
    }
    appoint(handOff.appointed());
    listeners.tell(listener -> listener.handedOff(flight.key, failure));
    Seat<K, V> former = handOff.former();
    if (former != null && former.future != null) {
      former.future.deliver(outcome);
    } else if (former != null) {
      LockSupport.unpark(former.thread);
    }
  }

  /** Lands a flight, unless it has ended. */
  void land(Flight<K, V> flight, Outcome<V> outcome) {
    int callers = flight.end();
    if (callers > 0) {
      Seat<K, V> next = retire(flight);
      CallFuture<V> leaders = flight.leaderFuture();
      errands.deliver(flight.publish(outcome), outcome);
      appoint(next);
      ended(flight, outcome.failure() == null ? Ending.VALUE : Ending.FAILURE, callers);
      if (leaders != null) {
        leaders.deliver(outcome);
      }
    }
  }

  /*
   * Takes an ended flight out of the table and gives the one that waits behind it its turn; returns
   * whom to appoint. That is the last thing to do: an executor may run the whole work inline.
   */
  private @Nullable Seat<K, V> retire(Flight<K, V> flight) {
    Flight<K, V> waiting = flight.waitingBehind();
    table.replace(flight, waiting);
    flight.letGoOfSuccessor();
    if (waiting == null) {
      return null;
    }
    if (!waiting.isLive()) {
      table.remove(waiting);
    }
    return waiting.promote();
  }

  private void ended(Flight<K, V> flight, Ending ending, int callers) {
    if (!listeners.isEmpty()) {
      Duration duration = Duration.ofNanos(nanoClock.getAsLong() - flight.registeredAt);
      listeners.tell(listener -> listener.ended(flight.key, ending, duration, callers));
    }
    if (flight.event != null) {
      flight.event.commit(flight, ending, callers);
    }
  }

  private boolean isLeadersOwn(Throwable failure, boolean interrupted) {
    try {
      return interrupted || Outcome.isInterruption(failure) || handOffOn.test(failure);
    } catch (Throwable undecided) {
      return false;
    }
  }

  // Following

  /** Waits for the outcome; returns null if this caller is to perform instead, and has begun. */
  @Nullable Outcome<V> awaitTurn(Seat<K, V> seat, Performance performance)
      throws InterruptedException {
    Outcome<V> outcome;
    do {
      outcome = await(seat, 0, Long.MAX_VALUE);
    } while (outcome == null && !seat.flight().begin(seat, performance));
    return outcome;
  }

  /** Waits for the outcome; returns null if this caller is appointed, or has left in time-out. */
  private @Nullable Outcome<V> await(Seat<K, V> seat, long start, long nanos)
      throws InterruptedException {
    boolean interrupted = false;
    boolean timed = nanos != Long.MAX_VALUE;
    try {
      try {
        Performance.waitIn(seat);
      } catch (FlightDeadlockException deadlock) {
        if (leave(seat, Departure.CANCELLED)) {
          throw deadlock;
        }
      }
      while (true) {
        Outcome<V> outcome = seat.outcome();
        if (outcome != null) {
          seat.flight().wakeMore();
          return outcome;
        }
        if (Thread.interrupted()) {
          if (leave(seat, Departure.INTERRUPTED)) {
            throw new InterruptedException();
          }
          interrupted = true;
        } else if (seat.appointed && seat.takeOver == null) {
          return null;
        } else if (!timed) {
          LockSupport.park(seat.flight());
        } else {
          long left = nanos - (System.nanoTime() - start);
          if (left > 0) {
            LockSupport.parkNanos(seat.flight(), left);
          } else if (leave(seat, Departure.TIMED_OUT)) {
            return null;
          } else {
            timed = false;
          }
        }
      }
    } finally {
      Performance.waitNoMore();
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Takes a caller off its flight; returns false if the flight has ended, or has an outcome. */
  boolean leave(Seat<K, V> seat, Departure departure) {
    Flight<K, V> flight = seat.flight();
    Flight.Departed<K, V> departed = flight.leave(seat);
    if (departed == null) {
      return false;
    }
    Seat<K, V> next = departed.last() ? retire(flight) : departed.appointed();
    if (departed.last()) {
      flight.cancel();
    }
    appoint(next);
    listeners.tell(listener -> listener.left(flight.key, departure));
    if (departed.last()) {
      ended(flight, Ending.ABANDONED, 0);
    }
    return true;
  }

  /** Takes a seat for a new future, whose failure it is if that is refused. */
  private CompletableFuture<V> futureOf(Consumer<Seat<K, V>> takeOver, Consumer<Seat<K, V>> enter) {
    CallFuture<V> future = new CallFuture<>();
    Seat<K, V> seat = Seat.ofFuture(future, takeOver);
    future.onLeave(departure -> leave(seat, departure));
    try {
      enter.accept(seat);
    } catch (FlightDeadlockException | TooManyFollowersException refusal) {
      future.deliver(Outcome.failure(refusal));
    }
    return future;
  }

  // Small things

  Flight<K, V> newFlight(
      K key, int hash, @Nullable Performance performance, @Nullable Seat<K, V> leader) {
    return new Flight<>(key, hash, name, nanoClock.getAsLong(), performance, leader);
  }

  private static int hash(Object key) {
    return requireNonNull(key, "key").hashCode();
  }

  private static void failIfInterrupted() throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException("interrupted on arrival");
    }
  }

  private static Throwable unwrapped(Throwable failure) {
    Throwable cause = failure.getCause();
    return failure instanceof CompletionException && cause != null ? cause : failure;
  }
}
