package io.singleflight;

import static java.util.Objects.requireNonNull;

import io.singleflight.FlightListener.Departure;
import io.singleflight.FlightListener.Ending;
import java.nio.channels.ClosedByInterruptException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
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

  private static final int MAX_CAUSES = 1000;

  private final FlightTable<K, V> table = new FlightTable<>();
  private final String name;
  private final Errands errands;
  private final Freshness freshness;
  private final long maxJoinAge;
  private final int maxFollowers;
  private final Predicate<? super Throwable> handOffOn;
  private final @Nullable Listeners<K> listeners;
  private final LongSupplier nanoClock;

  LocalSingleFlight(SingleFlight.Builder<K, V> options, LongSupplier nanoClock) {
    this.name = options.name;
    this.errands = new Errands(options.executor, DefaultExecutor.named(options.name));
    this.freshness = options.freshness;
    this.maxJoinAge = options.maxJoinAge == null ? Long.MAX_VALUE : nanos(options.maxJoinAge);
    this.maxFollowers = options.maxFollowers;
    this.handOffOn = options.handOffOn;
    this.listeners = options.listeners.isEmpty() ? null : new Listeners<>(options.listeners);
    this.nanoClock = nanoClock;
  }

  // The kinds of calls

  @Override
  public <E extends Exception> V call(K key, Work<? super K, ? extends V, E> work)
      throws E, InterruptedException {
    int hash = hash(key);
    requireNonNull(work, "work");
    failIfInterrupted();
    while (true) {
      Flight<K, V> flight = table.find(key, hash);
      if (flight == null) {
        Performance performance = new Performance(this, key);
        Flight<K, V> fresh = newFlight(key, hash, performance, null);
        flight = table.insert(fresh);
        if (flight == fresh) {
          started(flight);
          return perform(flight, performance, () -> Outcome.value(work.perform(key))).get();
        }
      }
      Seat<K, V> seat = Seat.ofThread();
      if (join(flight, seat)) {
        return awaitOrPerform(seat, key, () -> Outcome.value(work.perform(key))).get();
      }
    }
  }

  @Override
  public <E extends Exception> V call(K key, Duration timeout, Work<? super K, ? extends V, E> work)
      throws E, InterruptedException, TimeoutException {
    int hash = hash(key);
    long nanos = nanos(requireNonNull(timeout, "timeout"));
    requireNonNull(work, "work");
    failIfInterrupted();
    if (nanos <= 0) {
      throw timedOut(key, timeout);
    }
    long start = System.nanoTime();
    Seat<K, V> seat = Seat.ofThread(own -> performOnExecutor(own, key, work));
    takeSeatOnExecutor(key, hash, seat);
    Outcome<V> outcome = await(seat, start, nanos);
    if (outcome == null) {
      throw timedOut(key, timeout);
    }
    return outcome.get();
  }

  @Override
  public CompletableFuture<V> submit(K key, Work<? super K, ? extends V, ?> work) {
    int hash = hash(key);
    requireNonNull(work, "work");
    CallFuture<V> future = new CallFuture<>();
    Seat<K, V> seat = futureSeat(future, own -> performOnExecutor(own, key, work));
    try {
      takeSeatOnExecutor(key, hash, seat);
    } catch (FlightDeadlockException | TooManyFollowersException refusal) {
      future.deliver(Outcome.failure(refusal));
    }
    return future;
  }

  @Override
  public CompletableFuture<V> callAsync(
      K key, Function<? super K, ? extends CompletionStage<? extends V>> work) {
    int hash = hash(key);
    requireNonNull(work, "work");
    CallFuture<V> future = new CallFuture<>();
    Seat<K, V> seat =
        futureSeat(
            future,
            own -> {
              Performance performance = new Performance(this, key);
              if (own.flight().begin(own, performance)) {
                performAsync(own.flight(), performance, key, work);
              }
            });
    try {
      while (true) {
        Flight<K, V> flight = table.find(key, hash);
        if (flight == null) {
          Performance performance = new Performance(this, key);
          Flight<K, V> fresh = newFlight(key, hash, performance, seat);
          flight = table.insert(fresh);
          if (flight == fresh) {
            started(flight);
            performAsync(flight, performance, key, work);
            return future;
          }
        }
        if (join(flight, seat)) {
          return future;
        }
      }
    } catch (FlightDeadlockException | TooManyFollowersException refusal) {
      future.deliver(Outcome.failure(refusal));
      return future;
    }
  }

  @Override
  public <E extends Exception> Map<K, V> callAll(
      Collection<? extends K> keys, BatchWork<K, V, E> work) throws E, InterruptedException {
    requireNonNull(work, "work");
    Map<K, Integer> hashes = new LinkedHashMap<>();
    for (K key : requireNonNull(keys, "keys")) {
      hashes.put(key, hash(key));
    }
    failIfInterrupted();
    hashes.forEach(this::failIfItWouldWaitForThisThread);

    Performance performance = new Performance(this, null);
    Map<K, Flight<K, V>> led = new LinkedHashMap<>();
    Map<K, Seat<K, V>> joined = new LinkedHashMap<>();
    Map<K, Outcome<V>> outcomes = new LinkedHashMap<>();
    Departure departure = Departure.CANCELLED;
    try {
      hashes.forEach((key, hash) -> leadOrJoin(key, hash, performance, led, joined));
      if (!led.isEmpty()) {
        outcomes.putAll(performBatch(led, performance, work));
      }
      for (Map.Entry<K, Seat<K, V>> each : joined.entrySet()) {
        outcomes.put(each.getKey(), awaitInBatch(each.getKey(), each.getValue(), work));
      }
    } catch (InterruptedException interruption) {
      departure = Departure.INTERRUPTED;
      throw interruption;
    } catch (Throwable failure) {
      led.values().forEach(flight -> land(flight, Outcome.failure(failure)));
      throw failure;
    } finally {
      for (Seat<K, V> seat : joined.values()) {
        leave(seat, departure);
      }
    }

    Map<K, V> values = new LinkedHashMap<>();
    for (K key : hashes.keySet()) {
      Outcome<V> outcome = requireNonNull(outcomes.get(key));
      if (!outcome.absent()) {
        values.put(key, outcome.get());
      }
    }
    return values;
  }

  @Override
  @SuppressWarnings("unchecked")
  public K currentKey() {
    Performance performance = Performance.of(this);
    if (performance == null) {
      throw new IllegalStateException(
          "no work of "
              + name
              + " is performed by this thread; ask inside the work, on its thread");
    }
    if (performance.key == null) {
      throw new IllegalStateException(
          "a batch of " + name + " has no current key; use the keys that its work was given");
    }
    return (K) performance.key;
  }

  @Override
  public boolean forget(K key) {
    Flight<K, V> flight = table.find(key, hash(key));
    if (flight == null) {
      return false;
    }
    boolean detached = flight.detach();
    Flight<K, V> waiting = flight.waitingBehind();
    table.remove(flight);
    if (waiting != null) {
      detached |= waiting.detach();
      table.remove(waiting);
      appoint(waiting.promote());
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

  /** Takes a seat for a caller whose work runs on the executor, as leader or follower. */
  private void takeSeatOnExecutor(K key, int hash, Seat<K, V> seat) {
    while (true) {
      Flight<K, V> flight = table.find(key, hash);
      if (flight == null) {
        Flight<K, V> fresh = newFlight(key, hash, null, seat);
        flight = table.insert(fresh);
        if (flight == fresh) {
          started(flight);
          appoint(seat);
          return;
        }
      }
      if (join(flight, seat)) {
        return;
      }
    }
  }

  /** Takes a seat on a flight or on the one that waits behind it; returns false if it is gone. */
  private boolean join(Flight<K, V> found, Seat<K, V> seat) {
    failIfItWouldWaitForThisThread(found, seat.thread == null);
    if (maxJoinAge != Long.MAX_VALUE && nanoClock.getAsLong() - found.registeredAt > maxJoinAge) {
      found.detach();
    }
    Flight<K, V> flight = found;
    while (true) {
      int callers = flight.board(seat, maxFollowers, freshness);
      if (callers == Flight.FULL) {
        throw new TooManyFollowersException(
            "the flight of key "
                + Performance.textOf(flight.key)
                + " of "
                + name
                + " has its "
                + maxFollowers
                + " followers; see maxFollowers");
      }
      if (callers != Flight.GONE) {
        joined(flight, callers);
        if (seat.appointed && seat.takeOver != null) {
          appoint(seat);
        }
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
        started(waiting);
        return true;
      }
      flight = waiting;
    }
  }

  private void failIfItWouldWaitForThisThread(K key, int hash) {
    Flight<K, V> flight = table.find(key, hash);
    if (flight != null) {
      failIfItWouldWaitForThisThread(flight, false);
    }
  }

  /* A future may wait behind the work of its own thread: that is no deadlock. */
  private void failIfItWouldWaitForThisThread(Flight<K, V> flight, boolean future) {
    Performance awaited = flight.awaitedPerformance();
    if (awaited != null && awaited.isOnThisThread() && !(future && freshness == Freshness.NEXT)) {
      throw new FlightDeadlockException(
          "this call could only wait for itself: thread "
              + awaited.threadName()
              + " asks for key "
              + Performance.textOf(flight.key)
              + " of "
              + name
              + " inside its own work for that key");
    }
  }

  /** Has a caller perform its work: wakes its thread, or hands the work to the executor. */
  private void appoint(@Nullable Seat<K, V> seat) {
    if (seat == null) {
      return;
    }
    if (seat.takeOver != null) {
      errands.execute(
          () -> seat.takeOver.accept(seat),
          refusal -> land(seat.flight(), Outcome.failure(refusal)));
    } else {
      LockSupport.unpark(seat.thread);
    }
  }

  // Performing

  private <E extends Exception> void performOnExecutor(
      Seat<K, V> seat, K key, Work<? super K, ? extends V, E> work) {
    Performance performance = new Performance(this, key);
    if (seat.flight().begin(seat, performance)) {
      perform(seat.flight(), performance, () -> Outcome.value(work.perform(key)));
    }
  }

  /** Performs a work on this thread and concludes the flight; returns what the work ended in. */
  private Outcome<V> perform(
      Flight<K, V> flight, Performance performance, Callable<Outcome<V>> execution) {
    Outcome<V> outcome;
    boolean interrupted;
    performance.begin();
    try {
      outcome = execution.call();
    } catch (Throwable failure) {
      outcome = Outcome.failure(failure);
    } finally {
      interrupted = Thread.currentThread().isInterrupted();
      performance.end();
    }
    conclude(flight, outcome, interrupted);
    return outcome;
  }

  private void performAsync(
      Flight<K, V> flight,
      Performance performance,
      K key,
      Function<? super K, ? extends CompletionStage<? extends V>> work) {
    CompletionStage<? extends V> stage;
    boolean interrupted = false;
    performance.begin();
    try {
      stage = requireNonNull(work.apply(key), "the stage that the work returned");
    } catch (Throwable failure) {
      interrupted = Thread.currentThread().isInterrupted();
      performance.end();
      conclude(flight, Outcome.failure(failure), interrupted);
      return;
    }
    performance.end();
    if (!flight.continueAs(stage)) {
      Flight.cancel(stage);
      return;
    }
    try {
      stage.whenComplete((value, failure) ->
          conclude(
              flight,
              failure == null ? Outcome.value(value) : Outcome.failure(unwrapped(failure)),
              false));
    } catch (Throwable failure) {
      conclude(flight, Outcome.failure(failure), false);
    }
  }

  private <E extends Exception> Map<K, Outcome<V>> performBatch(
      Map<K, Flight<K, V>> led, Performance performance, BatchWork<K, V, E> work) {
    Map<K, Outcome<V>> outcomes = new LinkedHashMap<>();
    boolean interrupted;
    performance.begin();
    try {
      outcomes.putAll(answers(led.keySet(), work));
    } catch (Throwable failure) {
      led.keySet().forEach(key -> outcomes.put(key, Outcome.failure(failure)));
    } finally {
      interrupted = Thread.currentThread().isInterrupted();
      performance.end();
    }
    led.forEach((key, flight) -> conclude(flight, requireNonNull(outcomes.get(key)), interrupted));
    led.clear();
    outcomes.values().iterator().next().get();
    return outcomes;
  }

  private <E extends Exception> Map<K, Outcome<V>> answers(Set<K> keys, BatchWork<K, V, E> work)
      throws E, InterruptedException {
    Map<? extends K, ? extends V> values =
        requireNonNull(
            work.perform(Collections.unmodifiableSet(new LinkedHashSet<>(keys))),
            "the map that the work returned");
    Map<K, Outcome<V>> answers = new LinkedHashMap<>();
    for (K key : keys) {
      V value = values.get(key);
      answers.put(
          key,
          value == null && !values.containsKey(key)
              ? Outcome.absentFromBatch()
              : Outcome.value(value));
    }
    return answers;
  }

  private void leadOrJoin(
      K key,
      int hash,
      Performance performance,
      Map<K, Flight<K, V>> led,
      Map<K, Seat<K, V>> joined) {
    while (true) {
      Flight<K, V> flight = table.find(key, hash);
      if (flight == null) {
        Flight<K, V> fresh = newFlight(key, hash, performance, null);
        flight = table.insert(fresh);
        if (flight == fresh) {
          led.put(key, flight);
          started(flight);
          return;
        }
      }
      Seat<K, V> seat = Seat.ofBatch();
      if (join(flight, seat)) {
        joined.put(key, seat);
        return;
      }
    }
  }

  private <E extends Exception> Outcome<V> awaitInBatch(
      K key, Seat<K, V> seat, BatchWork<K, V, E> work) throws InterruptedException {
    seat.flight().attend(seat);
    Outcome<V> outcome =
        awaitOrPerform(seat, null, () -> requireNonNull(answers(Set.of(key), work).get(key)));
    outcome.get();
    return outcome;
  }

  // Ending

  /** Lands a flight, or hands it off if its failure was the leader's own and others are aboard. */
  private void conclude(Flight<K, V> flight, Outcome<V> outcome, boolean interrupted) {
    Throwable failure = outcome.failure();
    if (failure != null && isLeadersOwn(failure, interrupted)) {
      Flight.HandOff<K, V> handOff = flight.handOff(failure);
      if (handOff != null) {
        appoint(handOff.appointed());
        if (listeners != null) {
          listeners.handedOff(flight.key, failure);
        }
        Seat<K, V> former = handOff.former();
        if (former != null && former.future != null) {
          former.future.deliver(outcome);
        } else if (former != null) {
          LockSupport.unpark(former.thread);
        }
        return;
      }
    }
    land(flight, outcome);
  }

  private void land(Flight<K, V> flight, Outcome<V> outcome) {
    int callers = flight.end();
    if (callers == 0) {
      return;
    }
    retire(flight);
    CallFuture<V> leaders = flight.leaderFuture();
    deliver(flight.publish(outcome), outcome);
    ended(flight, outcome.ending(), callers);
    if (leaders != null) {
      leaders.deliver(outcome);
    }
  }

  private void abandon(Flight<K, V> flight) {
    retire(flight);
    flight.cancel();
    ended(flight, Ending.ABANDONED, 0);
  }

  /** Takes an ended flight out of the table; the one that waits behind it gets its turn. */
  private void retire(Flight<K, V> flight) {
    Flight<K, V> waiting = flight.waitingBehind();
    table.replace(flight, waiting);
    if (waiting != null) {
      if (!waiting.isLive()) {
        table.remove(waiting);
      }
      appoint(waiting.promote());
    }
  }

  /** Completes followers' futures, each in a task of its own; the caller pays for one. */
  private void deliver(List<CallFuture<V>> futures, Outcome<V> outcome) {
    if (futures.isEmpty()) {
      return;
    }
    Runnable all =
        () -> {
          for (CallFuture<V> future : futures.subList(1, futures.size())) {
            errands.execute(() -> future.deliver(outcome), refusal -> future.deliver(outcome));
          }
          futures.get(0).deliver(outcome);
        };
    errands.execute(all, refusal -> all.run());
  }

  private boolean isLeadersOwn(Throwable failure, boolean interrupted) {
    if (interrupted) {
      return true;
    }
    try {
      Throwable cause = failure;
      for (int depth = 0; cause != null && depth < MAX_CAUSES; depth++) {
        if (cause instanceof InterruptedException || cause instanceof ClosedByInterruptException) {
          return true;
        }
        cause = cause.getCause();
      }
      return handOffOn.test(failure);
    } catch (Throwable undecided) {
      return false;
    }
  }

  // Following

  /** Waits for the flight's outcome, or performs this caller's own work when appointed. */
  private Outcome<V> awaitOrPerform(
      Seat<K, V> seat, @Nullable K key, Callable<Outcome<V>> execution)
      throws InterruptedException {
    while (true) {
      Outcome<V> outcome = await(seat, 0, Long.MAX_VALUE);
      if (outcome != null) {
        return outcome;
      }
      Performance performance = new Performance(this, key);
      if (seat.flight().begin(seat, performance)) {
        return perform(seat.flight(), performance, execution);
      }
    }
  }

  /** Waits for an outcome; returns null if the caller is appointed, or has left in time-out. */
  private @Nullable Outcome<V> await(Seat<K, V> seat, long start, long nanos)
      throws InterruptedException {
    boolean interrupted = false;
    boolean timed = nanos != Long.MAX_VALUE;
    try {
      Performance.waitIn(seat);
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
    } catch (FlightDeadlockException deadlock) {
      leave(seat, Departure.CANCELLED);
      throw deadlock;
    } finally {
      Performance.waitNoMore();
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Takes a caller off its flight; returns false if the flight has ended, or has an outcome. */
  private boolean leave(Seat<K, V> seat, Departure departure) {
    Flight<K, V> flight = seat.flight();
    Flight.Departed<K, V> departed = flight.leave(seat);
    if (departed == null) {
      return false;
    }
    appoint(departed.appointed());
    left(flight, departure);
    if (departed.last()) {
      abandon(flight);
    }
    return true;
  }

  // Telling

  private void started(Flight<K, V> flight) {
    if (listeners != null) {
      listeners.started(flight.key);
    }
  }

  private void joined(Flight<K, V> flight, int callers) {
    if (listeners != null) {
      listeners.joined(flight.key, callers);
    }
  }

  private void left(Flight<K, V> flight, Departure departure) {
    if (listeners != null) {
      listeners.left(flight.key, departure);
    }
  }

  private void ended(Flight<K, V> flight, Ending ending, int callers) {
    if (listeners != null) {
      long nanos = nanoClock.getAsLong() - flight.registeredAt;
      listeners.ended(flight.key, ending, Duration.ofNanos(nanos), callers);
    }
    if (flight.event != null) {
      flight.event.commit(flight, ending, callers);
    }
  }

  // Small things

  private Flight<K, V> newFlight(
      K key, int hash, @Nullable Performance performance, @Nullable Seat<K, V> leader) {
    return new Flight<>(key, hash, name, nanoClock.getAsLong(), performance, leader);
  }

  private Seat<K, V> futureSeat(CallFuture<V> future, Consumer<Seat<K, V>> takeOver) {
    Seat<K, V> seat = Seat.ofFuture(future, takeOver);
    future.onLeave(departure -> leave(seat, departure));
    return seat;
  }

  private static int hash(Object key) {
    return requireNonNull(key, "key").hashCode();
  }

  private static void failIfInterrupted() throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException("interrupted on arrival");
    }
  }

  private TimeoutException timedOut(K key, Duration timeout) {
    return new TimeoutException(
        "the flight of key "
            + Performance.textOf(key)
            + " of "
            + name
            + " has not landed within "
            + timeout);
  }

  private static Throwable unwrapped(Throwable failure) {
    Throwable cause = failure.getCause();
    return failure instanceof CompletionException && cause != null ? cause : failure;
  }

  private static long nanos(Duration duration) {
    try {
      return duration.toNanos();
    } catch (ArithmeticException tooLong) {
      return duration.isNegative() ? Long.MIN_VALUE : Long.MAX_VALUE;
    }
  }
}
