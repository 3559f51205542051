package io.singleflight;

import static java.util.Objects.requireNonNull;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** The callers aboard a flight: who leads, who waits, what they get, and how they are woken. */
final class Herd<K, V extends @Nullable Object> {

  /*
   * The flight is in one of these phases; every change happens under the monitor of its herd, which
   * is never held while user code runs or a thread is parked.
   *
   *   QUEUED    -> ASSIGNED | VACANT        its turn has come (NEXT only)
   *   ASSIGNED  -> RUNNING                  the work of the leader begins
   *   RUNNING   -> ASSIGNED | VACANT        hand-off: the failure was the leader's own
   *   VACANT    -> ASSIGNED                 a caller that can perform has turned up
   *   VACANT    -> QUEUED                   the flight behind has one, and goes first (NEXT only)
   *   any       -> ENDED                    landed, or the last caller has left
   *
   * Landing has three steps. Ending the phase makes the flight unjoinable and fixes who is aboard:
   * from here on the list of seats does not change. Then it is taken out of the table, and only then
   * is the outcome published: so a caller that has the outcome can never meet a newcomer of this
   * flight (P2). Whoever wants to leave after the first step is too late, and waits the moment until
   * the last.
   *
   * Waking: who lands a small herd and all who wake with its outcome wake one after another, until
   * all are awake. Of a large herd each wakes FAN_OUT, which it takes off the list at once: there,
   * those who wake at a time are many, and meet in its CAS. Each blocked thread is taken off by
   * exactly one waker, and passes the outcome check, hence wakes others in turn, whatever woke it;
   * so nobody is forgotten and the leader pays for a constant number at most. A caller that is not
   * attentive is passed over: it says that it is before it looks for the outcome and parks, and the
   * outcome is there before anybody is passed over.
   */

  static final int FAN_OUT = 4;
  static final int SMALL = 16;

  enum Phase {
    QUEUED,
    VACANT,
    ASSIGNED,
    RUNNING,
    ENDED
  }

  /** What {@link #board} answers instead of the number of callers. */
  static final int GONE = 0;

  static final int FULL = -1;

  private static final VarHandle TO_WAKE;

  static {
    try {
      TO_WAKE = MethodHandles.lookup().findVarHandle(Herd.class, "toWake", Seat.class);
    } catch (ReflectiveOperationException impossible) {
      throw new ExceptionInInitializerError(impossible);
    }
  }

  final Flight<K, V> flight;

  /** The JFR event of the flight, if it is recorded. */
  final @Nullable FlightEvent event;

  /** When the flight was registered, or first noticed by others, if it was not timed. */
  private final long since;

  private final Thread registrant;

  // written under the monitor, read without
  private volatile @Nullable Performer performer;
  private volatile @Nullable Herd<K, V> behind;

  // written by whoever lands the flight
  private volatile @Nullable Outcome<V> outcome;

  // the first of those whom nobody has woken or passed over; moved on by CAS
  private volatile @Nullable Seat<K, V> toWake;

  // guarded by this
  private Phase phase;
  private boolean detached;
  private boolean interruptedByLibrary;
  private int callers = 1;
  private boolean leaderAboard = true;
  private int futures;
  private @Nullable Seat<K, V> leader;
  private @Nullable Seat<K, V> first;
  private @Nullable Seat<K, V> last;
  private @Nullable Herd<K, V> successor;
  private @Nullable CompletionStage<?> stage;

  private Herd(Flight<K, V> flight, @Nullable FlightEvent event, Phase phase, Thread registrant) {
    this.flight = flight;
    this.event = event;
    this.phase = phase;
    this.registrant = registrant;
    this.since =
        flight.registeredAt == Flight.UNTIMED ? flight.instance.now() : flight.registeredAt;
  }

  /** The herd of a flight whose leader performs, and has no seat. */
  Herd(Flight<K, V> flight, @Nullable FlightEvent event, Performer performer) {
    this(flight, event, Phase.RUNNING, performer.thread);
    this.performer = performer;
  }

  /** The herd of a flight whose first caller has a seat, and leads it unless it is queued. */
  Herd(Flight<K, V> flight, @Nullable FlightEvent event, Phase phase, Seat<K, V> seat) {
    this(flight, event, phase, Thread.currentThread());
    append(seat);
    if (phase == Phase.QUEUED) {
      leaderAboard = false;
    } else {
      leader = seat;
    }
  }

  // Coming aboard

  /** Takes a seat; returns the number of callers then, or {@link #GONE}, or {@link #FULL}. */
  synchronized int board(Seat<K, V> seat, int maxFollowers, Freshness freshness) {
    boolean tooLate = freshness == Freshness.NEXT && phase == Phase.RUNNING;
    if (!isLive() || tooLate) {
      return GONE;
    }
    boolean ledByAnother = phase == Phase.RUNNING && !leaderAboard;
    int followers = ledByAnother ? callers : callers - 1;
    if (seat.countsAsFollower && followers >= maxFollowers && !lacksLeader()) {
      return FULL;
    }
    callers++;
    append(seat);
    return callers;
  }

  /** Whether only batches are aboard, none of which can lead before it waits here. */
  private boolean lacksLeader() {
    Seat<K, V> seat = first;
    while (seat != null && !seat.countsAsFollower) {
      seat = seat.next;
    }
    return phase == Phase.VACANT && seat == null;
  }

  /**
   * Returns the herd of the flight that waits behind this one. If there is none and this one runs,
   * a new one is registered with this caller in its first seat; else there may be none.
   */
  synchronized @Nullable Herd<K, V> waitingBehind(Seat<K, V> seat, long now) {
    Herd<K, V> waiting = waitingBehind();
    if (waiting == null && isLive() && phase == Phase.RUNNING) {
      Flight<K, V> next =
          new Flight<>(flight.instance, flight.key, flight.hash, now, Phase.QUEUED, seat);
      waiting = requireNonNull(next.herd());
      waiting.behind = this;
    }
    successor = waiting;
    return waiting;
  }

  /** Returns the herd of the flight that waits behind this one, or null. */
  synchronized @Nullable Herd<K, V> waitingBehind() {
    Herd<K, V> waiting = successor;
    return waiting != null && waiting.isLive() ? waiting : null;
  }

  /* A flight that is stuck must not hold on to all those that came after it. */
  synchronized void letGoOfSuccessor() {
    successor = null;
  }

  synchronized boolean isLive() {
    return !detached && phase != Phase.ENDED;
  }

  /** What a flight was when it became unjoinable: live maybe, and maybe not alone in line. */
  record Detached<K, V extends @Nullable Object>(
      boolean live, @Nullable Herd<K, V> ahead, @Nullable Herd<K, V> behind) {}

  /** Makes the flight unjoinable, and lets go of the one that waits behind it. */
  synchronized Detached<K, V> detach() {
    Detached<K, V> was = new Detached<>(isLive(), behind, waitingBehind());
    detached = true;
    successor = null;
    return was;
  }

  // Performing

  /** Gives a waiting flight its turn; returns whom to appoint, if anybody. */
  synchronized @Nullable Seat<K, V> promote() {
    if (phase != Phase.QUEUED) {
      return null;
    }
    behind = null;
    return elect();
  }

  /** Tells that a caller can be told now; returns whom to appoint at once, if anybody. */
  synchronized @Nullable Seat<K, V> attend(Seat<K, V> seat) {
    seat.attentive = true;
    return phase == Phase.VACANT ? elect() : null;
  }

  /** Returns the herd of the flight that this one waits behind, or null. */
  @Nullable Herd<K, V> ahead() {
    return behind;
  }

  /**
   * Lets the flight that waits behind this one go first if nobody can perform this one, and
   * somebody that one; returns whom to appoint, if anybody. The callers of this one are busy with
   * other keys of their batches: those who can perform shall not wait for them.
   */
  synchronized @Nullable Seat<K, V> makeWay() {
    Herd<K, V> waiting = phase == Phase.VACANT && isLive() ? waitingBehind() : null;
    return waiting == null ? null : waiting.overtake(this);
  }

  /* Under both monitors: always that of the flight ahead first. */
  private synchronized @Nullable Seat<K, V> overtake(Herd<K, V> ahead) {
    if (phase != Phase.QUEUED || firstAttentive() == null) {
      return null;
    }
    flight.instance().table.replace(ahead.flight, flight);
    ahead.phase = Phase.QUEUED;
    ahead.behind = this;
    ahead.successor = null;
    successor = ahead;
    behind = null;
    return elect();
  }

  /** Begins the work of the caller that was appointed; returns false if it is so no more. */
  synchronized boolean begin(Seat<K, V> seat, @Nullable Performer by) {
    if (phase != Phase.ASSIGNED || leader != seat) {
      return false;
    }
    if (seat.takeOver == null) {
      remove(seat);
    }
    phase = Phase.RUNNING;
    performer = by;
    return true;
  }

  /**
   * Tells, on its thread, that the work has ended. From here on no interrupt of this library's
   * reaches the thread, and none is left behind.
   */
  synchronized void workEnded() {
    performer = null;
    if (interruptedByLibrary) {
      Thread.interrupted();
    }
  }

  /** Tells that the execution goes on as a stage; returns false if it is to be cancelled. */
  synchronized boolean continueAs(CompletionStage<?> pending) {
    stage = pending;
    return phase != Phase.ENDED;
  }

  /**
   * Hands the flight off if others than the leader are aboard: the leader alone gets the failure.
   * If none are, none can come aboard any more. Returns the seat of the leader that is to be told,
   * the appointed follower, or neither.
   */
  synchronized @Nullable HandOff<K, V> handOff(Throwable failure) {
    int others = leaderAboard ? callers - 1 : callers;
    if (phase != Phase.RUNNING) {
      return null;
    }
    if (others == 0) {
      detached = true;
      return null;
    }
    Seat<K, V> former = leader != null && leader.aboard ? leader : null;
    callers = others;
    if (former != null) {
      remove(former);
      former.own = Outcome.failure(failure);
    }
    performer = null;
    stage = null;
    return new HandOff<>(former, elect());
  }

  record HandOff<K, V extends @Nullable Object>(
      @Nullable Seat<K, V> former, @Nullable Seat<K, V> appointed) {}

  /** Makes the caller that has waited longest the leader; the flight is vacant if none can be. */
  private @Nullable Seat<K, V> elect() {
    Seat<K, V> seat = firstAttentive();
    leader = seat;
    leaderAboard = seat != null;
    phase = seat == null ? Phase.VACANT : Phase.ASSIGNED;
    if (seat != null) {
      seat.appointed = true;
    }
    return seat;
  }

  private @Nullable Seat<K, V> firstAttentive() {
    Seat<K, V> seat = first;
    while (seat != null && !seat.attentive) {
      seat = seat.next;
    }
    return seat;
  }

  // Ending

  /** A caller has left: the last one, or one after whom another was appointed, or neither. */
  record Departed<K, V extends @Nullable Object>(boolean last, @Nullable Seat<K, V> appointed) {}

  /** Takes a caller off board; returns null if it is too late. */
  synchronized @Nullable Departed<K, V> leave(Seat<K, V> seat) {
    if (phase == Phase.ENDED || !seat.aboard) {
      return null;
    }
    remove(seat);
    callers--;
    if (callers == 0) {
      phase = Phase.ENDED;
      return new Departed<>(true, null);
    }
    if (leader != seat) {
      return new Departed<>(false, null);
    }
    leaderAboard = false;
    return new Departed<>(false, phase == Phase.ASSIGNED ? elect() : null);
  }

  /** Cancels what an abandoned flight still executes. */
  void cancel() {
    CompletionStage<?> toCancel;
    synchronized (this) {
      if (performer != null) {
        interruptedByLibrary = true;
        performer.thread.interrupt();
      }
      toCancel = stage;
    }
    if (toCancel != null) {
      cancel(toCancel);
    }
  }

  /** Cancels a stage, as far as it can be. */
  static void cancel(CompletionStage<?> stage) {
    try {
      stage.toCompletableFuture().cancel(true);
    } catch (Throwable cannot) {
      // A stage need not offer cancellation; its execution then ends unheard.
    }
  }

  /** The first step of landing: unjoinable. Returns the number of callers, or 0 if it had ended. */
  synchronized int end() {
    if (phase == Phase.ENDED) {
      return 0;
    }
    phase = Phase.ENDED;
    performer = null;
    return callers;
  }

  /** The last step of landing: the outcome is there. Wakes threads; futures are others' errand. */
  void publish(Outcome<V> landed) {
    toWake = first;
    outcome = landed;
    wakeSome();
  }

  /** Wakes some of those who wait for the outcome, if it is there; who has woken wakes others. */
  void wakeMore() {
    if (outcome != null) {
      wakeSome();
    }
  }

  private void wakeSome() {
    if (callers > SMALL) {
      wake(FAN_OUT);
    } else {
      while (toWake != null) {
        wake(1);
      }
    }
  }

  private void wake(int count) {
    Seat<K, V> from = toWake;
    while (from != null) {
      Seat<K, V> to = from;
      for (int left = count; to != null && left > 0; to = to.next) {
        left -= to.isAsleep() ? 1 : 0;
      }
      if (TO_WAKE.compareAndSet(this, from, to)) {
        for (Seat<K, V> seat = from; seat != null && seat != to; seat = seat.next) {
          if (seat.isAsleep()) {
            LockSupport.unpark(seat.thread);
          }
        }
        return;
      }
      from = toWake;
    }
  }

  /** The future of the leader, if it still waits for the outcome. */
  synchronized @Nullable CallFuture<V> leaderFuture() {
    return leader != null && leaderAboard ? leader.future : null;
  }

  /** Returns whether futures of followers wait for the outcome. */
  synchronized boolean hasFollowersFutures() {
    return futures > (leaderFuture() == null ? 0 : 1);
  }

  /** Returns the futures of followers, once the flight has ended. */
  synchronized List<CallFuture<V>> followersFutures() {
    List<CallFuture<V>> all = new ArrayList<>();
    for (Seat<K, V> seat = first; seat != null; seat = seat.next) {
      if (seat.future != null && seat != leader) {
        all.add(seat.future);
      }
    }
    return all;
  }

  // Looking on

  @Nullable Outcome<V> outcome() {
    return outcome;
  }

  /**
   * Returns who performs what has to end before this flight can: its own work, or the one ahead.
   */
  @Nullable Performer awaited() {
    Herd<K, V> ahead = behind;
    if (ahead == null) {
      return performer;
    }
    return ahead.isLive() ? ahead.performer : null;
  }

  synchronized @Nullable InFlight<K> snapshot(long now) {
    if (!isLive()) {
      return null;
    }
    Performer by = performer;
    return new InFlight<>(
        flight.key,
        Duration.ofNanos(Math.max(0, now - since)),
        callers,
        Performer.nameOf(by == null ? registrant : by.thread),
        phase == Phase.RUNNING ? InFlight.State.RUNNING : InFlight.State.WAITING);
  }

  private void append(Seat<K, V> seat) {
    seat.board(this);
    futures += seat.future == null ? 0 : 1;
    seat.previous = last;
    if (last == null) {
      first = seat;
    } else {
      last.next = seat;
    }
    last = seat;
  }

  private void remove(Seat<K, V> seat) {
    seat.aboard = false;
    futures -= seat.future == null ? 0 : 1;
    if (seat.previous == null) {
      first = seat.next;
    } else {
      seat.previous.next = seat.next;
    }
    if (seat.next == null) {
      last = seat.previous;
    } else {
      seat.next.previous = seat.previous;
    }
    seat.previous = null;
    seat.next = null;
  }
}
