package io.singleflight;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** One shared execution: who leads, who waits, what they get, and how they are woken. */
final class Flight<K, V extends @Nullable Object> {

  /*
   * Landing has two steps. Ending takes the flight out of its line, and an empty line out of the
   * table, and fixes who is aboard: from here on the list of seats does not change. Only then is the
   * outcome published: so a caller that has the outcome can never meet a newcomer of this flight
   * (P2). Whoever wants to leave after the first step is too late, and waits the moment until the
   * second.
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

  /**
   * <pre>
   *   QUEUED    -> VACANT      its turn has come (NEXT only)
   *   VACANT    -> ASSIGNED    a caller that can perform has turned up
   *   VACANT    -> QUEUED      the flight behind has one, and goes first (NEXT only)
   *   ASSIGNED  -> RUNNING     the work of the leader begins
   *   ASSIGNED  -> VACANT      the leader has left
   *   RUNNING   -> VACANT      hand-off: the failure was the leader's own
   *   any       -> ENDED       landed, or the last caller has left
   * </pre>
   */
  enum Phase {
    QUEUED,
    VACANT,
    ASSIGNED,
    RUNNING,
    ENDED
  }

  private static final boolean JFR = ModuleLayer.boot().findModule("jdk.jfr").isPresent();

  final Line<K, V> line;

  /** The JFR event of this flight, if it is recorded. */
  final @Nullable FlightEvent event;

  /** When it was registered, or first noticed by others, if its line was not timed. */
  final long since;

  private final Thread registrant;

  // written under the monitor of the line, and at last by its thread; read without
  volatile @Nullable Performer performer;

  // written by whoever lands the flight
  private volatile @Nullable Outcome<V> outcome;

  /** The first of those whom nobody has woken or passed over. */
  private final AtomicReference<@Nullable Seat<K, V>> toWake = new AtomicReference<>();

  // guarded by the line
  Phase phase;

  /** Whether its line was closed while this was the head. */
  boolean detached;

  /**
   * The caller that is to perform or performs, though it may have left; null while there is none.
   */
  @Nullable Seat<K, V> leader;

  int callers;
  @Nullable CompletionStage<?> stage;

  /** The flight that waits behind this one, the head of the line. */
  @Nullable Flight<K, V> next;

  private int futures;
  private @Nullable Seat<K, V> first;
  private @Nullable Seat<K, V> last;

  // guarded by this
  private boolean interruptedByLibrary;

  /** A flight whose leader performs already; its event has begun with that, if there is one. */
  Flight(Line<K, V> line, Performer performer, @Nullable FlightEvent event) {
    this(line, event, Phase.RUNNING, Seat.ofLeader(performer.thread), performer.thread);
    this.performer = performer;
  }

  /** A flight with its first caller, who leads it unless it is queued. */
  Flight(Line<K, V> line, Phase phase, Seat<K, V> seat) {
    this(line, begunEvent(), phase, seat, Thread.currentThread());
  }

  private Flight(
      Line<K, V> line,
      @Nullable FlightEvent event,
      Phase phase,
      Seat<K, V> seat,
      Thread registrant) {
    boolean timed = phase != Phase.QUEUED && line.registeredAt != Line.UNTIMED;
    this.line = line;
    this.event = event;
    this.phase = phase;
    this.leader = phase == Phase.QUEUED ? null : seat;
    this.since = timed ? line.registeredAt : line.instance.now();
    this.registrant = registrant;
    append(seat);
  }

  /** Returns an event that has begun, or null while none is recorded. */
  static @Nullable FlightEvent begunEvent() {
    return JFR ? FlightEvent.begun() : null;
  }

  // Callers: under the monitor of the line

  /** Takes a seat; returns the number of callers then, or {@link Line#FULL}. */
  int board(Seat<K, V> seat, int maxFollowers) {
    Seat<K, V> leading = leader;
    int followers = leading != null && !leading.aboard ? callers : callers - 1;
    if (seat.countsAsFollower && followers >= maxFollowers && !lacksLeader()) {
      return Line.FULL;
    }
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

  /** Whether nobody performs this flight, and nobody aboard can be told to. */
  boolean isStranded() {
    return phase == Phase.VACANT && firstAttentive() == null;
  }

  /**
   * Makes the caller that has waited longest the leader, if the flight is vacant and one can be.
   */
  @Nullable Seat<K, V> elect() {
    Seat<K, V> seat = phase == Phase.VACANT ? firstAttentive() : null;
    if (seat != null) {
      leader = seat;
      phase = Phase.ASSIGNED;
      seat.appointed = true;
    }
    return seat;
  }

  @Nullable Seat<K, V> firstAttentive() {
    Seat<K, V> seat = first;
    while (seat != null && !seat.attentive) {
      seat = seat.next;
    }
    return seat;
  }

  void vacate() {
    leader = null;
    phase = Phase.VACANT;
  }

  /** Has the leader alone get its failure, if others are aboard; returns whether they are. */
  boolean handOff(Outcome<V> failure) {
    Seat<K, V> former = leader;
    if (former != null && former.aboard) {
      if (callers == 1) {
        return false;
      }
      remove(former);
      former.own = failure;
    }
    stage = null;
    vacate();
    return true;
  }

  private void append(Seat<K, V> seat) {
    seat.board(this);
    callers++;
    futures += seat.future == null ? 0 : 1;
    seat.previous = last;
    if (last == null) {
      first = seat;
    } else {
      last.next = seat;
    }
    last = seat;
  }

  void remove(Seat<K, V> seat) {
    seat.aboard = false;
    callers--;
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

  // The execution

  /**
   * Tells, on its thread, that the work has ended. From here on no interrupt of this library's
   * reaches the thread, and none is left behind. A stage that comes back twice must not tell it of
   * the work of an heir.
   */
  synchronized void workEnded() {
    Performer by = performer;
    if (by != null && by.thread == Thread.currentThread()) {
      performer = null;
      if (interruptedByLibrary) {
        Thread.interrupted();
      }
    }
  }

  /** Cancels what this flight, which is abandoned, still executes. */
  void cancel() {
    if (stage == null) {
      interrupt();
    } else {
      cancel(stage);
    }
  }

  /* Threads may have an interrupt of their own: only the one that is dying waits for this monitor. */
  private synchronized void interrupt() {
    Performer by = performer;
    if (by != null) {
      interruptedByLibrary = true;
      try {
        by.thread.interrupt();
      } catch (Throwable cannot) {
        // A thread, or a channel that it waits for, may refuse; whoever has left goes on.
      }
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

  InFlight<K> snapshot(long now) {
    Performer by = performer;
    return new InFlight<>(
        line.key,
        age(since, now),
        callers,
        Performer.nameOf(by == null ? registrant : by.thread),
        phase == Phase.RUNNING ? InFlight.State.RUNNING : InFlight.State.WAITING);
  }

  static Duration age(long since, long now) {
    return Duration.ofNanos(Math.max(0, now - since));
  }

  // The outcome: once the flight has ended

  @Nullable Outcome<V> outcome() {
    return outcome;
  }

  /**
   * The second step of landing: the outcome is there. Wakes threads; futures are others' errand.
   */
  void publish(Outcome<V> landed) {
    toWake.set(first);
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
      while (toWake.get() != null) {
        wake(1);
      }
    }
  }

  private void wake(int count) {
    Seat<K, V> from = toWake.get();
    while (from != null) {
      Seat<K, V> to = from;
      for (int left = count; to != null && left > 0; to = to.next) {
        left -= to.isAsleep() ? 1 : 0;
      }
      if (toWake.compareAndSet(from, to)) {
        for (Seat<K, V> seat = from; seat != null && seat != to; seat = seat.next) {
          seat.wake();
        }
        return;
      }
      from = toWake.get();
    }
  }

  /** The future of the leader, if it still waits for the outcome. */
  @Nullable CallFuture<V> leaderFuture() {
    Seat<K, V> leading = leader;
    return leading != null && leading.aboard ? leading.future : null;
  }

  /** Returns whether futures of followers wait for the outcome. */
  boolean hasFollowersFutures() {
    return futures > (leaderFuture() == null ? 0 : 1);
  }

  /** Returns the futures of followers. */
  List<CallFuture<V>> followersFutures() {
    List<CallFuture<V>> all = new ArrayList<>();
    for (Seat<K, V> seat = first; seat != null; seat = seat.next) {
      if (seat.future != null && seat != leader) {
        all.add(seat.future);
      }
    }
    return all;
  }
}
