package io.singleflight;

import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** A thread that performs works: which, one inside the other, and what it waits for meanwhile. */
final class Performer {

  /*
   * A call deadlocks if it waits for a flight whose performer waits, maybe over further flights, for
   * the caller's own thread. So a thread that performs something says in which seat it waits, before
   * it follows the chain of those who perform what it waits for. Of the threads of a cycle the last
   * to say so sees all the others, hence at least one of them finds it.
   *
   * The links of a chain are read one after another and may never have held together. A cycle is
   * believed only if a second look finds every link as it was. A seat is used for one wait only, so
   * a performer that is found in the same seat twice did nothing in between but wait, and performed
   * at the moment between the two looks what it was found to perform before and after it.
   *
   * A thread that performs nothing cannot be part of a cycle, and pays nothing for this. A thread
   * knows its performer weakly: threads outlive class loaders, and would keep them.
   */

  /* Reading a clock takes about 30 ns: too much for a call that takes less than this. */
  private static final long HASTE_NANOS = 1_000;

  private static final int HASTY_CALLS = 64;

  private static final ThreadLocal<@Nullable WeakReference<Performer>> OF_THREAD =
      new ThreadLocal<>();

  final Thread thread;

  private volatile @Nullable Seat<?, ?> waitsIn;

  // of the thread itself
  private @Nullable Performance<?> innermost;
  private long lookedAt;
  private int hastyLooks;
  private int callsUntilNextLook;

  private Performer(Thread thread) {
    this.thread = thread;
  }

  /** Returns the calling thread's. */
  static Performer current() {
    Performer known = currentIfAny();
    if (known != null) {
      return known;
    }
    Performer performer = new Performer(Thread.currentThread());
    OF_THREAD.set(new WeakReference<>(performer));
    return performer;
  }

  private static @Nullable Performer currentIfAny() {
    WeakReference<Performer> reference = OF_THREAD.get();
    return reference == null ? null : reference.get();
  }

  /**
   * Returns the time, or {@link Line#UNTIMED}: a thread that has made a call a microsecond for a
   * while looks at the clock only for one call in that many.
   */
  long timeForFlight(LongSupplier nanoClock) {
    if (callsUntilNextLook > 0) {
      callsUntilNextLook--;
      return Line.UNTIMED;
    }
    long now = nanoClock.getAsLong();
    long elapsed = now - lookedAt;
    long calls = hastyLooks == HASTY_CALLS ? HASTY_CALLS : 1;
    boolean hasty = elapsed >= 0 && elapsed < calls * HASTE_NANOS;
    hastyLooks = hasty ? Math.min(hastyLooks + 1, HASTY_CALLS) : 0;
    callsUntilNextLook = hastyLooks == HASTY_CALLS ? HASTY_CALLS - 1 : 0;
    lookedAt = now;
    return now;
  }

  void begin(Performance<?> performance) {
    performance.outer = innermost;
    innermost = performance;
  }

  void end(Performance<?> performance) {
    innermost = performance.outer;
    performance.outer = null;
  }

  String threadName() {
    return nameOf(thread);
  }

  /** Returns what the calling thread performs for an instance, the innermost, or null. */
  static @Nullable Performance<?> innermostOf(LocalSingleFlight<?, ?> instance) {
    Performer performer = currentIfAny();
    Performance<?> performance = performer == null ? null : performer.innermost;
    while (performance != null && performance.instance != instance) {
      performance = performance.outer;
    }
    return performance;
  }

  /**
   * Says that the calling thread is about to wait in a seat; throws if that would be for ever.
   * Returns its performer, to be told when it waits no more, or null if it performs nothing.
   */
  static @Nullable Performer waitIn(Seat<?, ?> seat) {
    Performer performer = currentIfAny();
    if (performer == null || performer.innermost == null) {
      return null;
    }
    performer.waitsIn = seat;
    String cycle = cycleFrom(seat);
    if (cycle != null) {
      performer.waitNoMore();
      throw new FlightDeadlockException(cycle);
    }
    return performer;
  }

  void waitNoMore() {
    waitsIn = null;
  }

  private static @Nullable String cycleFrom(Seat<?, ?> start) {
    List<Seat<?, ?>> seats = new ArrayList<>();
    List<Performer> performers = new ArrayList<>();
    Seat<?, ?> seat = start;
    while (seat != null && !seats.contains(seat)) {
      seats.add(seat);
      Performer next = seat.awaited();
      if (next == null) {
        return null;
      }
      performers.add(next);
      if (next.thread == Thread.currentThread()) {
        return stillHolds(seats, performers) ? describe(seats, performers) : null;
      }
      seat = next.waitsIn;
    }
    return null;
  }

  private static boolean stillHolds(List<Seat<?, ?>> seats, List<Performer> performers) {
    for (int i = 0; i < seats.size(); i++) {
      if (seats.get(i).awaited() != performers.get(i)
          || (i > 0 && performers.get(i - 1).waitsIn != seats.get(i))) {
        return false;
      }
    }
    return true;
  }

  /** Throws if the calling thread performs the flight at the head of a line. */
  static void failIfOwn(Line<?, ?> line) {
    Performer awaited = line.performer();
    if (awaited != null && awaited.thread == Thread.currentThread()) {
      throw new FlightDeadlockException(
          "this call could only wait for itself: thread %s, which performs %s, asks for it again"
              .formatted(awaited.threadName(), line.describe()));
    }
  }

  private static String describe(List<Seat<?, ?>> seats, List<Performer> performers) {
    StringBuilder text = new StringBuilder("this call could only wait for itself: thread ");
    text.append(nameOf(Thread.currentThread()));
    for (int i = 0; i < seats.size(); i++) {
      text.append(i == 0 ? " waits for " : ", which waits for ")
          .append(seats.get(i).line().describe())
          .append(", performed by thread ")
          .append(performers.get(i).threadName());
    }
    return text.toString();
  }

  /**
   * Returns a name to find a thread by, also if it is virtual and has none. This is asked under
   * monitors: what {@code toString} of a foreign class does is not known.
   */
  static String nameOf(Thread thread) {
    String name = thread.getName();
    if (!name.isEmpty()) {
      return name;
    }
    boolean foreign = thread.getClass().getModule() != Thread.class.getModule();
    return foreign ? thread.getClass().getName() : thread.toString();
  }
}
