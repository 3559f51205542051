package io.singleflight;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** One shared execution: its state, its callers, its outcome, and how they are woken. */
final class Flight<K, V extends @Nullable Object> {

  /*
   * A flight is in one of these phases; every change happens under its monitor, which is never held
   * while user code runs or a thread is parked.
   *
   *   QUEUED    -> ASSIGNED | VACANT        its turn has come (NEXT only)
   *   ASSIGNED  -> RUNNING                  the work of the leader begins
   *   RUNNING   -> ASSIGNED | VACANT        hand-off: the failure was the leader's own
   *   VACANT    -> ASSIGNED                 a caller that can perform has turned up
   *   any       -> ENDED                    landed, or the last caller has left
   *
   * Landing has three steps. Ending the phase makes the flight unjoinable and fixes who is aboard.
   * Then it is taken out of the table, and only then is the outcome published: so a caller that has
   * the outcome can never meet a newcomer of this flight (P2). Whoever wants to leave after the
   * first step is too late, and waits the moment until the last.
   *
   * Waking: everybody who wakes with the outcome wakes up to FAN_OUT more. Each blocked thread is
   * taken off the list by exactly one waker, and passes the outcome check, hence wakes others in
   * turn, whatever woke it; so nobody is forgotten and the leader pays for FAN_OUT threads at most.
   * A caller that is not attentive is passed over: it will see the outcome before it parks.
   */

  static final int FAN_OUT = 4;

  private static final boolean JFR = ModuleLayer.boot().findModule("jdk.jfr").isPresent();

  private enum Phase {
    QUEUED,
    VACANT,
    ASSIGNED,
    RUNNING,
    ENDED
  }

  /** What {@link #board} answers instead of the number of callers. */
  static final int GONE = 0;

  static final int FULL = -1;

  final K key;
  final int hash;
  final String instanceName;
  final long registeredAt;
  private final String registrant = Performance.nameOf(Thread.currentThread());

  /** The JFR event of this flight, if it is recorded. */
  final @Nullable FlightEvent event = JFR ? FlightEvent.begun() : null;

  // written under the monitor, read without
  private volatile @Nullable Performance performance;
  private volatile @Nullable Flight<K, V> behind;
  private volatile @Nullable Outcome<V> outcome;

  // guarded by this
  private Phase phase;
  private boolean detached;
  private int callers = 1;
  private boolean leaderAboard = true;
  private @Nullable Seat<K, V> leader;
  private @Nullable Seat<K, V> first;
  private @Nullable Seat<K, V> last;
  private @Nullable Flight<K, V> successor;
  private @Nullable CompletionStage<?> stage;

  private Flight(
      K key, int hash, String instanceName, long now, Phase phase, @Nullable Flight<K, V> behind) {
    this.key = key;
    this.hash = hash;
    this.instanceName = instanceName;
    this.registeredAt = now;
    this.phase = phase;
    this.behind = behind;
  }

  /** A flight that the calling thread performs at once, or that waits for the executor to do so. */
  Flight(
      K key,
      int hash,
      String instanceName,
      long now,
      @Nullable Performance performance,
      @Nullable Seat<K, V> leader) {
    this(key, hash, instanceName, now, Phase.ASSIGNED, (Flight<K, V>) null);
    if (performance != null) {
      this.phase = Phase.RUNNING;
      this.performance = performance;
    }
    if (leader != null) {
      this.leader = leader;
      leader.attentive = true;
      append(leader);
    }
  }

  /* Leaders of waiting flights are elected when the turn comes: until then all are followers. */
  private Flight<K, V> newSuccessor(Seat<K, V> seat, long now) {
    Flight<K, V> waiting = new Flight<>(key, hash, instanceName, now, Phase.QUEUED, this);
    waiting.leaderAboard = false;
    waiting.append(seat);
    return waiting;
  }

  // Coming aboard

  /** Takes a seat; returns the number of callers then, or {@link #GONE}, or {@link #FULL}. */
  synchronized int board(Seat<K, V> seat, int maxFollowers, Freshness freshness) {
    boolean tooLate = freshness == Freshness.NEXT && phase == Phase.RUNNING;
    if (detached || phase == Phase.ENDED || tooLate) {
      return GONE;
    }
    if (seat.countsAsFollower && callers > maxFollowers) {
      return FULL;
    }
    callers++;
    append(seat);
    return callers;
  }

  /**
   * Returns the flight that waits behind this one. If there is none and this one runs, a new one is
   * registered with this caller in its first seat; if this one has ended, there may be none.
   */
  synchronized @Nullable Flight<K, V> waitingBehind(Seat<K, V> seat, long now) {
    Flight<K, V> waiting = successor;
    if (waiting != null && waiting.isLive()) {
      return waiting;
    }
    successor = detached || phase == Phase.ENDED ? null : newSuccessor(seat, now);
    return successor;
  }

  /** Returns the flight that waits behind this one, or null. */
  synchronized @Nullable Flight<K, V> waitingBehind() {
    Flight<K, V> waiting = successor;
    return waiting != null && waiting.isLive() ? waiting : null;
  }

  /* A flight that is stuck must not hold on to all those that came after it. */
  synchronized void letGoOfSuccessor() {
    successor = null;
  }

  synchronized boolean isLive() {
    return !detached && phase != Phase.ENDED;
  }

  /** Makes this flight unjoinable; returns false if it was so already. */
  synchronized boolean detach() {
    boolean wasLive = isLive();
    detached = true;
    return wasLive;
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

  /** Begins the work of the caller that was appointed; returns false if it is so no more. */
  synchronized boolean begin(Seat<K, V> seat, @Nullable Performance by) {
    if (phase != Phase.ASSIGNED || leader != seat) {
      return false;
    }
    if (seat.takeOver == null) {
      remove(seat);
    }
    phase = Phase.RUNNING;
    performance = by;
    return true;
  }

  /** Tells that the work goes on as a stage; returns false if it is to be cancelled. */
  synchronized boolean continueAs(CompletionStage<?> pending) {
    performance = null;
    if (phase == Phase.ENDED) {
      return false;
    }
    stage = pending;
    return true;
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
    performance = null;
    stage = null;
    leader = null;
    leaderAboard = false;
    return new HandOff<>(former, elect());
  }

  record HandOff<K, V extends @Nullable Object>(
      @Nullable Seat<K, V> former, @Nullable Seat<K, V> appointed) {}

  /** Makes the caller that has waited longest the leader; the flight is vacant if none can be. */
  private @Nullable Seat<K, V> elect() {
    Seat<K, V> seat = first;
    while (seat != null && !seat.attentive) {
      seat = seat.next;
    }
    leader = seat;
    leaderAboard = seat != null;
    phase = seat == null ? Phase.VACANT : Phase.ASSIGNED;
    if (seat != null) {
      seat.appointed = true;
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

  /** The first step of landing: unjoinable. Returns the number of callers, or 0 if abandoned. */
  synchronized int end() {
    if (phase == Phase.ENDED) {
      return 0;
    }
    phase = Phase.ENDED;
    performance = null;
    return callers;
  }

  /** The last step of landing: the outcome is there. Returns the futures that wait for it. */
  List<CallFuture<V>> publish(Outcome<V> landed) {
    List<CallFuture<V>> futures = new ArrayList<>(0);
    synchronized (this) {
      Seat<K, V> seat = first;
      while (seat != null) {
        Seat<K, V> following = seat.next;
        if (seat.future != null) {
          remove(seat);
          if (seat != leader) {
            futures.add(seat.future);
          }
        }
        seat = following;
      }
      outcome = landed;
    }
    wakeMore();
    return futures;
  }

  /** Wakes some of those who wait for the outcome, if it is there; who has woken wakes others. */
  void wakeMore() {
    List<Thread> sleepers = new ArrayList<>(FAN_OUT);
    synchronized (this) {
      while (outcome != null && first != null && sleepers.size() < FAN_OUT) {
        Seat<K, V> seat = first;
        remove(seat);
        if (seat.thread != null && seat.attentive && seat.thread != Thread.currentThread()) {
          sleepers.add(seat.thread);
        }
      }
    }
    sleepers.forEach(LockSupport::unpark);
  }

  /** Cancels what an abandoned flight still executes. */
  void cancel() {
    Performance toInterrupt;
    CompletionStage<?> toCancel;
    synchronized (this) {
      toInterrupt = performance;
      toCancel = stage;
    }
    if (toInterrupt != null) {
      toInterrupt.interrupt();
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

  // Looking on

  @Nullable Outcome<V> outcome() {
    return outcome;
  }

  /** The future of the leader, if it still waits for the outcome. */
  synchronized @Nullable CallFuture<V> leaderFuture() {
    return leader != null && leaderAboard ? leader.future : null;
  }

  /** Returns what has to end before this flight can: its own execution, or the one ahead. */
  @Nullable Performance awaitedPerformance() {
    Flight<K, V> ahead = behind;
    return ahead != null ? ahead.performance : performance;
  }

  String describe() {
    return describe(key, instanceName);
  }

  static String describe(Object key, String instanceName) {
    return "the flight of key " + Performance.textOf(key) + " of " + instanceName;
  }

  synchronized InFlight<K> snapshot(long now) {
    Performance by = performance;
    return new InFlight<>(
        key,
        Duration.ofNanos(now - registeredAt),
        callers,
        by == null ? registrant : by.threadName(),
        phase == Phase.RUNNING ? InFlight.State.RUNNING : InFlight.State.WAITING);
  }

  private void append(Seat<K, V> seat) {
    seat.board(this);
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
