package io.singleflight;

import static io.singleflight.Flight.Phase.ASSIGNED;
import static io.singleflight.Flight.Phase.ENDED;
import static io.singleflight.Flight.Phase.QUEUED;
import static io.singleflight.Flight.Phase.RUNNING;
import static io.singleflight.Flight.Phase.VACANT;

import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletionStage;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What the table knows of a key: its flight and, in {@code NEXT}, the one that waits behind; also
 * the performance of the caller that registered it, if that leads at once.
 */
final class Line<K, V extends @Nullable Object> extends Performance<K> {

  /*
   * Most lines have nobody in them but the caller that registered them, and performs its work on its
   * own thread. All that such a line needs is to know whether that is still so. Its state is
   *
   *   a Performer   its leader performs, alone, or landed so    -> OVER | Flight
   *   a Flight      the head of the line; others are aboard, or may come    -> Flight | OVER
   *   OVER          no flight is left, and none will be
   *
   * Who wants aboard has the table share the line first; unless it does, the leader lands alone by
   * taking the line out of the table, and the state stays. Else the two meet in the monitor.
   *
   * The line is the monitor for all that happens to its flights, one after another and the two that
   * it may have at a time; it is never held while user code runs or a thread is parked. A flight that
   * ends leaves its line in the same step, the one behind is the head then, and a line without a
   * flight leaves the table: so nobody finds an ended flight, and landing evicts no successor. A
   * closed line has left the table and lets nobody in; its flights go on, each for itself.
   */

  /** Stands for a time that nobody has looked at the clock for. */
  static final long UNTIMED = Long.MIN_VALUE;

  /** What {@link #board} answers instead of the number of callers. */
  static final int CLOSED = 0;

  static final int FULL = -1;

  /** What {@link #conclude} answers instead of the number of callers. */
  static final int HANDED_OFF = -1;

  /** What {@link #leave} answers instead of the number of callers that stay. */
  static final int TOO_LATE = -1;

  private static final Object OVER = new Object();

  /** The hash of the key at registration, whatever became of the key since. */
  final int hash;

  /** When it was registered, in nanoseconds of the instance's clock, or {@link #UNTIMED}. */
  final long registeredAt;

  private volatile Object state;

  /** A line whose caller performs at once, alone. */
  Line(LocalSingleFlight<?, ?> instance, K key, int hash, long now, Performer performer) {
    super(instance, key);
    this.hash = hash;
    this.registeredAt = now;
    FlightEvent event = Flight.begunEvent();
    this.state = event == null ? performer : new Flight<>(this, performer, event);
  }

  /** A line whose caller has a seat, and leads its first flight. */
  Line(LocalSingleFlight<?, ?> instance, K key, int hash, long now, Seat<K, V> seat) {
    super(instance, key);
    this.hash = hash;
    this.registeredAt = now;
    this.state = new Flight<>(this, ASSIGNED, seat);
  }

  @SuppressWarnings("unchecked")
  LocalSingleFlight<K, V> instance() {
    return (LocalSingleFlight<K, V>) instance;
  }

  /** Returns the flight at the head, or null. */
  @SuppressWarnings("unchecked")
  @Nullable Flight<K, V> head() {
    return state instanceof Flight<?, ?> head ? (Flight<K, V>) head : null;
  }

  // A leader alone

  /** Lands the leader's work if nobody else is aboard, nor will be; returns whether that is so. */
  boolean landAlone() {
    return head() == null && (instance().table.removeUnshared(this) || endAlone());
  }

  private synchronized boolean endAlone() {
    boolean alone = state instanceof Performer;
    if (alone) {
      over();
    }
    return alone;
  }

  private void over() {
    state = OVER;
    instance().table.remove(this);
  }

  /** Returns the head of this line, which it has if callers can come aboard; or null. */
  private @Nullable Flight<K, V> open() {
    if (state instanceof Performer leader && instance().table.share(this)) {
      state = new Flight<>(this, leader, null);
    }
    Flight<K, V> head = head();
    if (head == null || head.detached) {
      // It is still in the table only if an Error came in between.
      instance().table.remove(this);
      return null;
    }
    return head;
  }

  // Coming aboard

  /**
   * Takes a seat; returns the number of callers then, which is 1 in a flight that was not there, or
   * {@link #CLOSED}, or {@link #FULL}.
   */
  synchronized int board(Seat<K, V> seat, int maxFollowers, Freshness freshness) {
    Flight<K, V> flight = open();
    if (flight == null) {
      return CLOSED;
    }
    if (freshness == Freshness.RUNNING || flight.phase != RUNNING) {
      return flight.board(seat, maxFollowers);
    }
    if (flight.next != null) {
      return flight.next.board(seat, maxFollowers);
    }
    flight.next = new Flight<>(this, QUEUED, seat);
    return 1;
  }

  /**
   * Lets nobody aboard from now on, and leaves the table; returns the flight that may have its turn
   * by that, or null if this line was closed.
   */
  synchronized @Nullable Flight<K, V> close() {
    Flight<K, V> head = open();
    if (head == null) {
      return null;
    }
    instance().table.remove(this);
    Flight<K, V> next = head.next;
    head.detached = true;
    head.next = null;
    if (next == null) {
      return head;
    }
    next.phase = VACANT;
    return next;
  }

  // Performing

  /** Tells that a caller can be told now, and arranges. */
  synchronized @Nullable Seat<K, V> attend(Seat<K, V> seat) {
    seat.attentive = true;
    return arrange(seat.flight);
  }

  /**
   * Sees to it, after a change to a flight, that somebody performs; returns the seat that is newly
   * appointed, or null. If nobody aboard the head can be told, since they are busy with other keys
   * of their batches, and somebody aboard the flight behind can, that one goes first.
   */
  synchronized @Nullable Seat<K, V> arrange(Flight<K, V> changed) {
    Flight<K, V> first = changed.phase == VACANT ? changed : head();
    if (first == null) {
      return null;
    }
    Flight<K, V> next = first.next;
    if (next != null && first.isStranded() && next.firstAttentive() != null) {
      first.phase = QUEUED;
      first.next = null;
      next.phase = VACANT;
      next.next = first;
      state = next;
      first = next;
    }
    return first.elect();
  }

  /** Begins the work of the caller that was appointed; returns false if it is so no more. */
  synchronized boolean begin(Seat<K, V> seat, @Nullable Performer by) {
    Flight<K, V> flight = seat.flight;
    if (flight.phase != ASSIGNED || flight.leader != seat) {
      return false;
    }
    seat.attentive &= seat.takeOver != null;
    flight.phase = RUNNING;
    flight.performer = by;
    return true;
  }

  /** Tells that the execution goes on as a stage; returns false if it is to be cancelled. */
  synchronized boolean continueAs(Flight<K, V> flight, CompletionStage<?> stage) {
    boolean abandoned = flight.phase == ENDED;
    if (!abandoned) {
      flight.stage = stage;
    }
    return !abandoned;
  }

  /** Has the thread that completed the stage of a leader perform; returns false if it has ended. */
  synchronized boolean resume(Seat<K, V> leader, Performer by) {
    Flight<K, V> flight = leader.flight;
    if (flight.phase != RUNNING || flight.leader != leader) {
      return false;
    }
    flight.performer = by;
    return true;
  }

  // Ending

  /**
   * Ends a leader's flight, unless others are aboard and the failure is the leader's own: then the
   * leader alone gets it. Returns the number of callers, or {@link #HANDED_OFF}, or 0 if the flight
   * has ended, or another leads it.
   */
  synchronized int conclude(
      Flight<K, V> flight, @Nullable Seat<K, V> leader, @Nullable Outcome<V> leadersOwn) {
    if (flight.phase == ENDED || flight.leader != leader) {
      return 0;
    }
    flight.performer = null;
    int callers = flight.callers;
    if (leadersOwn == null || !flight.handOff(leadersOwn)) {
      end(flight);
      return callers;
    }
    return HANDED_OFF;
  }

  /** Takes a caller off board; returns how many stay, or {@link #TOO_LATE}. */
  synchronized int leave(Seat<K, V> seat) {
    Flight<K, V> flight = seat.flight;
    if (flight.phase == ENDED || !seat.aboard) {
      return TOO_LATE;
    }
    flight.remove(seat);
    if (flight.callers == 0) {
      end(flight);
    } else if (flight.leader == seat && flight.phase == ASSIGNED) {
      flight.vacate();
    }
    return flight.callers;
  }

  private void end(Flight<K, V> flight) {
    Flight<K, V> head = head();
    Flight<K, V> next = flight.next;
    flight.phase = ENDED;
    flight.next = null;
    if (head != flight) {
      if (head != null && head.next == flight) {
        head.next = null;
      }
    } else if (next == null) {
      over();
    } else {
      next.phase = VACANT;
      state = next;
    }
  }

  // Looking on

  /** Returns who performs the head, or null. */
  @Nullable Performer performer() {
    Object now = state;
    if (now instanceof Performer leader) {
      return leader;
    }
    return now instanceof Flight<?, ?> head ? head.performer : null;
  }

  /**
   * Returns who performs what has to end before a caller gets its outcome: the work of its flight,
   * or the head's; or null, also if the caller has left.
   */
  synchronized @Nullable Performer awaited(Seat<K, V> seat) {
    Flight<K, V> flight = seat.flight;
    if (!seat.aboard) {
      return null;
    }
    return flight.phase == QUEUED ? performer() : flight.performer;
  }

  /** Returns how the flights that can be joined look now. */
  synchronized List<InFlight<K>> snapshot(long now) {
    Flight<K, V> head = open();
    return Stream.of(head, head == null ? null : head.next)
        .filter(Objects::nonNull)
        .map(flight -> flight.snapshot(now))
        .toList();
  }

  String describe() {
    return instance.describe(key);
  }
}
