package io.singleflight;

import static java.util.Objects.requireNonNull;
import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.singleflight.FlightListener.Departure;
import io.singleflight.FlightListener.Ending;
import java.time.Duration;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeoutException;
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
   *   1. Look the key up. None: register a fresh line, as the leader of its flight. Found: take a
   *      seat on its flight, as a follower; in NEXT, on the one that waits behind, if it has begun.
   *   2. Leader: perform the work, outside every lock, catching whatever it throws (perform).
   *   3. Land: end the flight, by which it leaves its line, and an empty line the table; publish its
   *      outcome, and wake (landed). If the failure was the leader's own and others are aboard, hand
   *      off instead (conclude).
   *   4. Follower: wait (Seat.await); then wake others and take the outcome, or perform its own work
   *      if appointed, or leave (leave). When the last has left, the flight is abandoned.
   *
   * Whatever changes who can perform is followed by arrange, on the same thread and before any code
   * of users: it appoints whoever is next.
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
    Line<K, V> fresh = new Line<>(this, key, hash, now, performer);
    Seat<K, V> seat = enter(fresh, Seat::ofThread);
    if (seat == null) {
      return perform(fresh, null, performer, fresh, work);
    }
    Outcome<V> outcome = seat.awaitTurn(performer);
    return outcome == null ? perform(seat, performer, key, work) : outcome.get();
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
              .formatted(timeout, describe(key)));
    }
    long start = System.nanoTime();
    Seat<K, V> seat = Seat.ofThread(own -> performOnExecutor(own, key, work));
    enter(key, hash, seat, errands::start);
    Outcome<V> outcome = seat.await(start, nanos);
    if (outcome == null) {
      throw new TimeoutException("%s did not land within %s".formatted(describe(key), timeout));
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
      Line<K, V> line = table.find(key, hash);
      if (line != null && !closedAsTooOld(line)) {
        Performer.failIfOwn(line);
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
    Line<K, V> line = table.find(key, hash(key));
    Flight<K, V> detached = line == null ? null : line.close();
    if (detached != null) {
      arrange(detached);
    }
    return detached != null;
  }

  @Override
  public List<InFlight<K>> inFlight() {
    long now = now();
    return table.lines().stream().flatMap(line -> line.snapshot(now).stream()).toList();
  }

  // Taking a seat

  /** Registers a fresh line, or else takes a seat for its caller; returns that seat or null. */
  @Nullable Seat<K, V> enter(Line<K, V> fresh, Supplier<Seat<K, V>> newSeat) {
    while (true) {
      Line<K, V> found = table.insert(fresh);
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
    Line<K, V> fresh = new Line<>(this, key, hash, now(), seat);
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

  /** Takes a seat on a flight of a line; returns false if that is closed. */
  private boolean join(Line<K, V> found, Seat<K, V> seat) {
    if (closedAsTooOld(found)) {
      return false;
    }
    // A future may wait behind the work of its own thread: that is no deadlock.
    if (seat.future == null || freshness == Freshness.RUNNING) {
      Performer.failIfOwn(found);
    }
    int callers = found.board(seat, maxFollowers, freshness);
    if (callers == Line.FULL) {
      throw new TooManyFollowersException(
          "%s has its %d followers, as many as maxFollowers allows"
              .formatted(found.describe(), maxFollowers));
    }
    if (callers == 1) {
      listeners.tell(listener -> listener.started(found.key));
    } else if (callers != Line.CLOSED) {
      listeners.tell(listener -> listener.joined(found.key, callers));
    }
    return callers != Line.CLOSED;
  }

  private boolean closedAsTooOld(Line<K, V> line) {
    boolean tooOld = maxJoinAge != Long.MAX_VALUE && now() - line.registeredAt > maxJoinAge;
    if (tooOld) {
      line.close();
    }
    return tooOld;
  }

  /**
   * Tells that a caller can be told now, and so that its flight may have somebody to perform it.
   */
  void attend(Seat<K, V> seat) {
    errands.appoint(seat.line().attend(seat));
  }

  private void arrange(Flight<K, V> changed) {
    errands.appoint(changed.line.arrange(changed));
  }

  /**
   * Ends a flight whose leader's work the executor has refused; hands it off if that was since the
   * leader's thread was interrupted.
   */
  void refused(Seat<K, V> seat, Throwable refusal) {
    if (seat.line().begin(seat, null)) {
      Outcome<V> outcome = Outcome.failure(refusal);
      conclude(seat.line(), seat, outcome, outcome.isLeadersOwn(false, other -> false));
    }
  }

  // Performing

  /** Performs a work on this thread in the caller's turn, which has begun. */
  private <E extends Exception> V perform(
      Seat<K, V> seat, Performer performer, K key, Work<? super K, ? extends V, E> work)
      throws E, InterruptedException {
    return perform(seat.line(), seat, performer, new Performance<>(this, key), work);
  }

  /** Performs a work on this thread, and concludes its flight with what comes of it. */
  private <E extends Exception> V perform(
      Line<K, V> line,
      @Nullable Seat<K, V> seat,
      Performer performer,
      Performance<K> performance,
      Work<? super K, ? extends V, E> work)
      throws E, InterruptedException {
    V value;
    performer.begin(performance);
    try {
      value = work.perform(performance.key);
    } catch (Throwable failure) {
      performer.end(performance);
      concludeHere(line, seat, Outcome.failure(failure));
      throw failure;
    }
    performer.end(performance);
    if (seat != null || !landAlone(line, Ending.VALUE)) {
      concludeHere(line, seat, Outcome.value(value));
    }
    return value;
  }

  private void performOnExecutor(Seat<K, V> seat, K key, Work<? super K, ? extends V, ?> work) {
    Performer performer = Performer.current();
    if (seat.line().begin(seat, performer)) {
      try {
        perform(seat, performer, key, work);
      } catch (Throwable landed) {
        // Those aboard have it; the executor has no use for it.
      }
    }
  }

  private void performAsync(
      Seat<K, V> seat, K key, Function<? super K, ? extends CompletionStage<? extends V>> work) {
    Performer performer = Performer.current();
    Line<K, V> line = seat.line();
    if (!line.begin(seat, performer)) {
      return;
    }
    Performance<K> performance = new Performance<>(this, key);
    performer.begin(performance);
    Outcome<CompletionStage<? extends V>> begun =
        Outcome.of(() -> requireNonNull(work.apply(key), "the stage that the work returned"));
    performer.end(performance);
    boolean leadersOwn = isLeadersOwn(begun, Thread.currentThread().isInterrupted());
    seat.flight.workEnded();
    try {
      CompletionStage<? extends V> stage = begun.get();
      if (!line.continueAs(seat.flight, stage)) {
        Flight.cancel(stage);
        return;
      }
      stage.whenComplete((value, failure) -> concludeStage(seat, Outcome.ofStage(value, failure)));
    } catch (Throwable failure) {
      conclude(line, seat, Outcome.failure(failure), leadersOwn);
    }
  }

  // Ending

  /** Concludes a flight whose stage has completed, on the thread that completed it. */
  private void concludeStage(Seat<K, V> seat, Outcome<V> outcome) {
    if (outcome.failure() == null) {
      conclude(seat.line(), seat, outcome, false);
      return;
    }
    Performer performer = Performer.current();
    if (seat.line().resume(seat, performer)) {
      boolean leadersOwn = isLeadersOwn(outcome, false);
      seat.flight.workEnded();
      conclude(seat.line(), seat, outcome, leadersOwn);
    }
  }

  /** Concludes a flight on the thread that performed its work. */
  void concludeHere(Line<K, V> line, @Nullable Seat<K, V> seat, Outcome<V> outcome) {
    boolean leadersOwn = isLeadersOwn(outcome, Thread.currentThread().isInterrupted());
    Flight<K, V> flight = seat == null ? line.head() : seat.flight;
    if (flight != null) {
      flight.workEnded();
    }
    conclude(line, seat, outcome, leadersOwn);
  }

  /** Whether the work of this thread ended in a failure of the leader's own. */
  private boolean isLeadersOwn(Outcome<?> outcome, boolean interrupted) {
    if (outcome.failure() == null) {
      return false;
    }
    // Inside a performance: should the predicate call, it is known what waits for it.
    Performer performer = Performer.current();
    Performance<@Nullable K> asking = new Performance<>(this, null);
    performer.begin(asking);
    try {
      return outcome.isLeadersOwn(interrupted, handOffOn);
    } finally {
      performer.end(asking);
    }
  }

  /**
   * Concludes the flight of a seat or, if there is none, of the caller that registered the line: it
   * lands, or is handed off if its failure was the leader's own and others are aboard.
   */
  void conclude(
      Line<K, V> line, @Nullable Seat<K, V> seat, Outcome<V> outcome, boolean leadersOwn) {
    if (seat == null && landAlone(line, endingIn(outcome))) {
      return;
    }
    Flight<K, V> flight = seat == null ? requireNonNull(line.head()) : seat.flight;
    Seat<K, V> leader = seat == null ? flight.leader : seat;
    int callers = line.conclude(flight, leader, leadersOwn ? outcome : null);
    if (callers == Line.HANDED_OFF) {
      handedOff(flight, requireNonNull(leader), outcome);
    } else if (callers > 0) {
      landed(flight, outcome, callers);
    }
  }

  private void handedOff(Flight<K, V> flight, Seat<K, V> former, Outcome<V> outcome) {
    if (former.own != null) {
      former.wake();
    }
    arrange(flight);
    Throwable failure = requireNonNull(outcome.failure());
    listeners.tell(listener -> listener.handedOff(flight.line.key, failure));
    if (former.future != null && former.own != null) {
      former.future.deliver(outcome);
    }
  }

  private void landed(Flight<K, V> flight, Outcome<V> outcome, int callers) {
    CallFuture<V> leaders = flight.leaderFuture();
    flight.publish(outcome);
    arrange(flight);
    errands.deliver(flight, outcome);
    ended(flight.line, flight, endingIn(outcome), callers);
    if (leaders != null) {
      leaders.deliver(outcome);
    }
  }

  private static Ending endingIn(Outcome<?> outcome) {
    return outcome.failure() == null ? Ending.VALUE : Ending.FAILURE;
  }

  /** Lands a leader's work if nobody else is aboard: there is nobody to tell. */
  private boolean landAlone(Line<K, V> line, Ending ending) {
    boolean alone = line.landAlone();
    if (alone) {
      ended(line, null, ending, 1);
    }
    return alone;
  }

  private void ended(Line<K, V> line, @Nullable Flight<K, V> flight, Ending ending, int callers) {
    if (flight != null && flight.event != null) {
      flight.event.commit(line, ending, callers);
    }
    if (!listeners.isEmpty()) {
      long since = flight == null ? line.registeredAt : flight.since;
      Duration duration = Flight.age(since, now());
      listeners.tell(listener -> listener.ended(line.key, ending, duration, callers));
    }
  }

  /** Takes a caller off its flight; returns false if the flight has ended, or has an outcome. */
  boolean leave(Seat<K, V> seat, Departure departure) {
    Flight<K, V> flight = seat.flight;
    Line<K, V> line = flight.line;
    int staying = line.leave(seat);
    if (staying == Line.TOO_LATE) {
      return false;
    }
    arrange(flight);
    if (staying == 0) {
      flight.cancel();
    }
    listeners.tell(listener -> listener.left(line.key, departure));
    if (staying == 0) {
      ended(line, flight, Ending.ABANDONED, 0);
    }
    return true;
  }

  // Small things

  String describe(Object key) {
    return "the flight of key %s of %s".formatted(textOf(key), name);
  }

  /** Returns a key as text, whatever its {@code toString} does. */
  static String textOf(Object key) {
    try {
      return String.valueOf(key);
    } catch (Throwable failure) {
      return key.getClass().getName();
    }
  }

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
