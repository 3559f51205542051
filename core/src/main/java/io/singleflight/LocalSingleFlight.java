package io.singleflight;

import static io.singleflight.Herd.Phase.ASSIGNED;
import static java.util.Objects.requireNonNull;
import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.singleflight.FlightListener.Departure;
import io.singleflight.FlightListener.Ending;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
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
   *   4. Follower: wait (Seat.await); then wake others and take the outcome, or perform its own work
   *      if appointed, or leave (leave). When the last has left, the flight is abandoned.
   *
   * A flight that ends for the table (landed, abandoned, forgotten, too old) is removed by identity,
   * so it never evicts a successor. In NEXT the slot of a key holds the flight at the head of the
   * line, and the one that waits behind takes its place (retire); whoever finds an ended flight
   * there goes on to the one behind it, or helps to remove it.
   */

  final String name;
  final FlightTable<K, V> table = new FlightTable<>();
  private final Errands errands;
  private final Freshness freshness;
  private final long maxJoinAge;
  private final int maxFollowers;
  private final Predicate<? super Throwable> handOffOn;
  private final Listeners<K> listeners;
  private final LongSupplier nanoClock;

  /** Whether an option needs the time of each flight. */
  private final boolean timed;

  LocalSingleFlight(
      SingleFlight.Builder<K, V> options, LongSupplier nanoClock, Executor standardExecutor) {
    this.name = options.name;
    this.errands = new Errands(options.executor, standardExecutor);
    this.freshness = options.freshness;
    this.maxJoinAge =
        options.maxJoinAge == null ? Long.MAX_VALUE : NANOSECONDS.convert(options.maxJoinAge);
    this.maxFollowers = options.maxFollowers;
    this.handOffOn = options.handOffOn;
    this.listeners = new Listeners<>(options.name, options.listeners);
    this.nanoClock = nanoClock;
    this.timed = options.maxJoinAge != null || !listeners.isEmpty();
  }

  // The kinds of calls

  @Override
  public <E extends Exception> V call(K key, Work<? super K, ? extends V, E> work)
      throws E, InterruptedException {
    int hash = hash(key);
    requireNonNull(work, "work");
    failIfInterrupted();
    Performer performer = Performer.current();
    long now = timed ? now() : performer.timeForFlight(nanoClock);
    Flight<K, V> fresh = new Flight<>(this, key, hash, now, performer);
    Seat<K, V> seat = enter(fresh, Seat::ofThread);
    if (seat == null) {
      return perform(fresh, performer, fresh, work);
    }
    Outcome<V> outcome = seat.awaitTurn(performer);
    return outcome == null
        ? perform(seat.flight(), performer, new Performance<>(this, key), work)
        : outcome.get();
  }

  @Override
  public <E extends Exception> V call(K key, Duration timeout, Work<? super K, ? extends V, E> work)
      throws E, InterruptedException, TimeoutException {
    int hash = hash(key);
    long nanos = NANOSECONDS.convert(requireNonNull(timeout, "timeout"));
    requireNonNull(work, "work");
    failIfInterrupted();
    if (nanos <= 0) {
      throw new TimeoutException(
          "a timeout of %s leaves no time for %s; give more than zero"
              .formatted(timeout, Flight.describe(key, this)));
    }
    long start = System.nanoTime();
    Seat<K, V> seat = Seat.ofThread(own -> performOnExecutor(own, key, work));
    enter(key, hash, seat, errands::start);
    Outcome<V> outcome = seat.await(start, nanos);
    if (outcome == null) {
      throw new TimeoutException(
          "%s did not land within %s".formatted(Flight.describe(key, this), timeout));
    }
    return outcome.get();
  }

  @Override
  public CompletableFuture<V> submit(K key, Work<? super K, ? extends V, ?> work) {
    int hash = hash(key);
    requireNonNull(work, "work");
    return futureOf(key, hash, own -> performOnExecutor(own, key, work), errands::start);
  }

  @Override
  public CompletableFuture<V> callAsync(
      K key, Function<? super K, ? extends CompletionStage<? extends V>> work) {
    int hash = hash(key);
    requireNonNull(work, "work");
    Consumer<Seat<K, V>> perform = own -> performAsync(own, key, work);
    return futureOf(key, hash, perform, perform);
  }

  @Override
  public <E extends Exception> Map<K, V> callAll(
      Collection<? extends K> keys, BatchWork<K, V, E> work) throws E, InterruptedException {
    Map<K, Integer> hashes = new LinkedHashMap<>();
    for (K key : requireNonNull(keys, "keys")) {
      hashes.put(key, hash(requireNonNull(key, "a key in keys")));
    }
    requireNonNull(work, "work");
    failIfInterrupted();
    hashes.forEach((key, hash) -> {
      Flight<K, V> flight = table.find(key, hash);
      if (flight != null) {
        detachIfTooOld(flight);
        Performer.failIfOwn(flight);
      }
    });
    return new Batch<>(this, work).call(hashes);
  }

  @Override
  @SuppressWarnings("unchecked")
  public K currentKey() {
    Performance<?> performance = Performer.innermostOf(this);
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
      detached = detach(flight.herd());
      table.remove(flight);
      flight = table.find(key, hash);
    }
    return detached;
  }

  /**
   * Makes a flight unjoinable, and those ahead of it and behind it in line; whose turn depended on
   * another's end, has it now.
   */
  private boolean detach(@Nullable Herd<K, V> herd) {
    if (herd == null) {
      return false;
    }
    Herd.Detached<K, V> was = herd.detach();
    table.remove(herd.flight);
    errands.appoint(herd.promote());
    return was.live() | detach(was.ahead()) | detach(was.behind());
  }

  @Override
  public List<InFlight<K>> inFlight() {
    long now = now();
    List<@Nullable InFlight<K>> all = new ArrayList<>();
    for (Flight<K, V> flight : table.flights()) {
      Herd<K, V> waiting = flight.waitingBehind();
      all.add(flight.snapshot(now));
      all.add(waiting == null ? null : waiting.snapshot(now));
    }
    return all.stream().filter(Objects::nonNull).toList();
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

  /** Takes a seat, in which its caller leads if there is no flight to join. */
  private void enter(K key, int hash, Seat<K, V> seat, Consumer<Seat<K, V>> lead) {
    Flight<K, V> fresh = new Flight<>(this, key, hash, now(), ASSIGNED, seat);
    if (enter(fresh, () -> seat) == null) {
      lead.accept(seat);
    } else if (seat.future != null) {
      // A thread attends when it waits in its seat.
      attend(seat);
    }
  }

  /** Takes a seat for a new future, whose failure it is if that is refused. */
  private CompletableFuture<V> futureOf(
      K key, int hash, Consumer<Seat<K, V>> takeOver, Consumer<Seat<K, V>> lead) {
    CallFuture<V> future = new CallFuture<>();
    Seat<K, V> seat = Seat.ofFuture(future, takeOver);
    future.onLeave(departure -> leave(seat, departure));
    try {
      enter(key, hash, seat, lead);
    } catch (FlightDeadlockException | TooManyFollowersException refusal) {
      future.deliver(Outcome.failure(refusal));
    }
    return future;
  }

  /** Takes a seat on a flight or on the one that waits behind it; returns false if it is gone. */
  private boolean join(Flight<K, V> found, Seat<K, V> seat) {
    detachIfTooOld(found);
    // A future may wait behind the work of its own thread: that is no deadlock.
    if (seat.future == null || freshness == Freshness.RUNNING) {
      Performer.failIfOwn(found);
    }
    Herd<K, V> herd = found.herd();
    if (herd == null) {
      table.remove(found);
    }
    while (herd != null) {
      int callers = herd.board(seat, maxFollowers, freshness);
      if (callers == Herd.FULL) {
        throw new TooManyFollowersException(
            "%s has its %d followers, as many as maxFollowers allows"
                .formatted(found.describe(), maxFollowers));
      }
      if (callers != Herd.GONE) {
        listeners.tell(listener -> listener.joined(found.key, callers));
        return true;
      }
      Herd<K, V> waiting = freshness == Freshness.NEXT ? herd.waitingBehind(seat, now()) : null;
      if (waiting != null && seat.isAboard(waiting)) {
        listeners.tell(listener -> listener.started(found.key));
        return true;
      }
      if (waiting == null && herd.flight == found && !found.isLive()) {
        table.remove(found);
      }
      herd = waiting;
    }
    return false;
  }

  private void detachIfTooOld(Flight<K, V> found) {
    if (maxJoinAge != Long.MAX_VALUE && now() - found.registeredAt > maxJoinAge) {
      Herd<K, V> herd = found.herd();
      if (herd != null) {
        herd.detach();
      }
    }
  }

  /**
   * Tells that a caller can be told now, and so that its flight may have somebody to perform it.
   */
  void attend(Seat<K, V> seat) {
    Herd<K, V> herd = seat.herd();
    errands.appoint(herd.attend(seat));
    Herd<K, V> ahead = herd.ahead();
    if (ahead != null) {
      errands.appoint(ahead.makeWay());
    }
  }

  /** Ends a flight whose leader's work the executor has refused. */
  void refused(Seat<K, V> seat, Throwable refusal) {
    if (seat.herd().begin(seat, null)) {
      land(seat.herd(), Outcome.failure(refusal));
    }
  }

  // Performing

  /** Performs a work on this thread, and ends the flight with what comes of it. */
  private <E extends Exception> V perform(
      Flight<K, V> flight,
      Performer performer,
      Performance<K> performance,
      Work<? super K, ? extends V, E> work)
      throws E, InterruptedException {
    V value;
    performer.begin(performance);
    try {
      value = work.perform(performance.key);
    } catch (Throwable failure) {
      concludeHere(flight, Outcome.failure(failure));
      throw failure;
    } finally {
      performer.end(performance);
    }
    if (!landAlone(flight, Ending.VALUE)) {
      concludeHere(flight, Outcome.value(value));
    }
    return value;
  }

  private void performOnExecutor(Seat<K, V> seat, K key, Work<? super K, ? extends V, ?> work) {
    Performer performer = Performer.current();
    if (seat.herd().begin(seat, performer)) {
      try {
        perform(seat.flight(), performer, new Performance<>(this, key), work);
      } catch (Throwable landed) {
        // Those aboard have it; the executor has no use for it.
      }
    }
  }

  private void performAsync(
      Seat<K, V> seat, K key, Function<? super K, ? extends CompletionStage<? extends V>> work) {
    Performer performer = Performer.current();
    Herd<K, V> herd = seat.herd();
    if (!herd.begin(seat, performer)) {
      return;
    }
    Performance<K> performance = new Performance<>(this, key);
    performer.begin(performance);
    Outcome<CompletionStage<? extends V>> begun =
        Outcome.of(() -> requireNonNull(work.apply(key), "the stage that the work returned"));
    boolean leadersOwn = begun.isLeadersOwn(Thread.currentThread().isInterrupted(), handOffOn);
    performer.end(performance);
    herd.workEnded();
    try {
      CompletionStage<? extends V> stage = begun.get();
      if (!herd.continueAs(stage)) {
        Herd.cancel(stage);
        return;
      }
      stage.whenComplete((value, failure) -> {
        Outcome<V> outcome = Outcome.ofStage(value, failure);
        conclude(herd.flight, outcome, outcome.isLeadersOwn(false, handOffOn));
      });
    } catch (Throwable failure) {
      conclude(herd.flight, Outcome.failure(failure), leadersOwn);
    }
  }

  // Ending

  /** Concludes a flight on the thread that performed its work. */
  void concludeHere(Flight<K, V> flight, Outcome<V> outcome) {
    // First, and inside the performance: should the predicate call, it is known what waits for it.
    boolean leadersOwn = outcome.isLeadersOwn(Thread.currentThread().isInterrupted(), handOffOn);
    flight.workEnded();
    conclude(flight, outcome, leadersOwn);
  }

  /** Lands a flight, or hands it off if its failure was the leader's own and others are aboard. */
  void conclude(Flight<K, V> flight, Outcome<V> outcome, boolean leadersOwn) {
    Throwable failure = outcome.failure();
    if (!landAlone(flight, endingIn(outcome))) {
      Herd<K, V> herd = requireNonNull(flight.herd());
      if (failure == null || !leadersOwn || !handOff(herd, failure)) {
        land(herd, outcome);
      }
    }
  }

  private boolean handOff(Herd<K, V> herd, Throwable failure) {
    Herd.HandOff<K, V> handOff = herd.handOff(failure);
    if (handOff == null) {
      return false;
    }
    Seat<K, V> former = handOff.former();
    if (former != null) {
      LockSupport.unpark(former.thread);
    }
    errands.appoint(handOff.appointed());
    errands.appoint(herd.makeWay());
    listeners.tell(listener -> listener.handedOff(herd.flight.key, failure));
    if (former != null && former.future != null) {
      former.future.deliver(Outcome.failure(failure));
    }
    return true;
  }

  /** Lands a flight, unless it has ended. */
  private void land(Herd<K, V> herd, Outcome<V> outcome) {
    int callers = herd.end();
    if (callers > 0) {
      Seat<K, V> next = retire(herd);
      CallFuture<V> leaders = herd.leaderFuture();
      herd.publish(outcome);
      errands.appoint(next);
      errands.deliver(herd, outcome);
      ended(herd.flight, herd.event, endingIn(outcome), callers);
      if (leaders != null) {
        leaders.deliver(outcome);
      }
    }
  }

  private static Ending endingIn(Outcome<?> outcome) {
    return outcome.failure() == null ? Ending.VALUE : Ending.FAILURE;
  }

  /** Lands a flight that has no herd: there is nobody to tell. */
  private boolean landAlone(Flight<K, V> flight, Ending ending) {
    boolean alone = table.removeAlone(flight);
    if (alone) {
      ended(flight, null, ending, 1);
    }
    return alone;
  }

  /**
   * Takes a flight that is joinable no more out of the table and gives the one that waits behind it
   * its turn; returns whom to appoint. That comes before all user code, which may wait for it.
   */
  private @Nullable Seat<K, V> retire(Herd<K, V> herd) {
    Herd<K, V> waiting = herd.waitingBehind();
    table.replace(herd.flight, waiting == null ? null : waiting.flight);
    herd.letGoOfSuccessor();
    if (waiting == null) {
      return null;
    }
    if (!waiting.isLive()) {
      table.remove(waiting.flight);
    }
    return waiting.promote();
  }

  private void ended(Flight<K, V> flight, @Nullable FlightEvent event, Ending ending, int callers) {
    if (event != null) {
      event.commit(flight, ending, callers);
    }
    if (!listeners.isEmpty()) {
      Duration duration = flight.age(now());
      listeners.tell(listener -> listener.ended(flight.key, ending, duration, callers));
    }
  }

  /** Takes a caller off its flight; returns false if the flight has ended, or has an outcome. */
  boolean leave(Seat<K, V> seat, Departure departure) {
    Herd<K, V> herd = seat.herd();
    Herd.Departed<K, V> departed = herd.leave(seat);
    if (departed == null) {
      return false;
    }
    errands.appoint(departed.last() ? retire(herd) : departed.appointed());
    errands.appoint(herd.makeWay());
    if (departed.last()) {
      herd.cancel();
    }
    listeners.tell(listener -> listener.left(herd.flight.key, departure));
    if (departed.last()) {
      ended(herd.flight, herd.event, Ending.ABANDONED, 0);
    }
    return true;
  }

  // Small things

  long now() {
    return nanoClock.getAsLong();
  }

  private static int hash(Object key) {
    return requireNonNull(key, "key").hashCode();
  }

  private static void failIfInterrupted() throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException("interrupted on arrival");
    }
  }
}
