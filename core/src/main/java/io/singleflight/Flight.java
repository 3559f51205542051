package io.singleflight;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * One shared execution, as the table knows it; its own leader's performance, if it leads at once.
 */
final class Flight<K, V extends @Nullable Object> extends Performance<K> {

  /*
   * Most flights have nobody aboard but the caller that registered them, and performs them on its
   * own thread. All that such a flight needs is to know whether that is still so. Its state is
   *
   *   a Performer   its leader performs, alone, or landed so    -> LANDED | Herd
   *   LANDED        it landed alone, though the table had it for others
   *   a Herd        others came aboard, or may: all else is told there
   *
   * Who opens the herd has the table share the flight first; unless it does, the leader lands alone
   * by taking the flight out of the table, and the state stays. Else the two meet in a CAS on it.
   */

  /** Stands for a time that nobody has looked at the clock for. */
  static final long UNTIMED = Long.MIN_VALUE;

  private static final boolean JFR = ModuleLayer.boot().findModule("jdk.jfr").isPresent();
  private static final Object LANDED = new Object();
  private static final VarHandle STATE;

  static {
    try {
      STATE = MethodHandles.lookup().findVarHandle(Flight.class, "state", Object.class);
    } catch (ReflectiveOperationException impossible) {
      throw new ExceptionInInitializerError(impossible);
    }
  }

  /** The hash of the key at registration, whatever became of the key since. */
  final int hash;

  /** When it was registered, in nanoseconds of the instance's clock, or {@link #UNTIMED}. */
  final long registeredAt;

  private volatile Object state;

  /** A flight that a thread performs at once, alone. */
  Flight(LocalSingleFlight<?, ?> instance, K key, int hash, long now, Performer performer) {
    super(instance, key);
    this.hash = hash;
    this.registeredAt = now;
    FlightEvent event = begunEvent();
    this.state = event == null ? performer : new Herd<>(this, event, performer);
  }

  /** A flight whose first caller has a seat. */
  Flight(
      LocalSingleFlight<?, ?> instance,
      K key,
      int hash,
      long now,
      Herd.Phase phase,
      Seat<K, V> seat) {
    super(instance, key);
    this.hash = hash;
    this.registeredAt = now;
    this.state = new Herd<>(this, begunEvent(), phase, seat);
  }

  private static @Nullable FlightEvent begunEvent() {
    return JFR ? FlightEvent.begun() : null;
  }

  @SuppressWarnings("unchecked")
  LocalSingleFlight<K, V> instance() {
    return (LocalSingleFlight<K, V>) instance;
  }

  /** Whether there is no herd. */
  boolean isAlone() {
    return !(state instanceof Herd);
  }

  /** Ends this flight, which the table shares, unless it has a herd; it will have none then. */
  boolean landAlone() {
    Object now = state;
    return now instanceof Performer && STATE.compareAndSet(this, now, LANDED);
  }

  /** Returns the herd, which from now on there is; or null if this flight has landed alone. */
  @SuppressWarnings("unchecked")
  @Nullable Herd<K, V> herd() {
    if (state instanceof Performer leader && instance().table.share(this)) {
      STATE.compareAndSet(this, leader, new Herd<>(this, null, leader));
    }
    return state instanceof Herd<?, ?> herd ? (Herd<K, V>) herd : null;
  }

  /**
   * Returns who performs what has to end before this flight can: its own work, or the one ahead.
   */
  @Nullable Performer awaited() {
    Object now = state;
    if (now instanceof Performer leader) {
      return leader;
    }
    return now instanceof Herd<?, ?> herd ? herd.awaited() : null;
  }

  boolean isLive() {
    Object now = state;
    return now instanceof Herd<?, ?> herd ? herd.isLive() : now != LANDED;
  }

  /** Returns the herd of the flight that waits behind this one, or null. */
  @SuppressWarnings("unchecked")
  @Nullable Herd<K, V> waitingBehind() {
    return state instanceof Herd<?, ?> herd ? ((Herd<K, V>) herd).waitingBehind() : null;
  }

  /** Tells, on its thread, that the work has ended. */
  void workEnded() {
    if (state instanceof Herd<?, ?> herd) {
      herd.workEnded();
    }
  }

  /** Returns how this flight looks now, or null if it is joinable no more. */
  @Nullable InFlight<K> snapshot(long now) {
    Object current = state;
    if (current instanceof Performer leader && registeredAt != UNTIMED) {
      return new InFlight<>(key, age(now), 1, leader.threadName(), InFlight.State.RUNNING);
    }
    Herd<K, V> herd = herd();
    return herd == null ? null : herd.snapshot(now);
  }

  Duration age(long now) {
    return Duration.ofNanos(Math.max(0, now - registeredAt));
  }

  String describe() {
    return describe(key, instance);
  }

  static String describe(Object key, LocalSingleFlight<?, ?> instance) {
    return "the flight of key " + textOf(key) + " of " + instance.name;
  }

  /** Returns a key as text, whatever its {@code toString} does. */
  static String textOf(Object key) {
    try {
      return String.valueOf(key);
    } catch (Throwable failure) {
      return key.getClass().getName();
    }
  }
}
