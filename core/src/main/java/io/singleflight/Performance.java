package io.singleflight;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;

/**
 * One execution of a work by a thread: what the thread performs, and what it waits for meanwhile.
 */
final class Performance {

  /*
   * A call deadlocks if it waits for a flight whose performing thread waits, maybe over further
   * flights, for the caller's own thread. So each thread that performs something says which seat it
   * waits in, before it follows the chain of those who perform what it waits for. Of the threads of
   * a cycle the last to say so sees all the others, hence at least one of them finds it.
   *
   * The links of a chain are read one after another and may never have held together. A cycle is
   * believed only if a second look finds every link as it was: a seat is used for one wait only, so
   * the links then all held at the moment between the two looks.
   *
   * A thread that performs nothing cannot be part of a cycle, and pays nothing for this.
   */

  private static final ThreadLocal<Performance> INNERMOST = new ThreadLocal<>();

  final Object instance;

  /** The key of the work; null in a batch. */
  final @Nullable Object key;

  private final @Nullable Performance outer;
  private final Thread thread = Thread.currentThread();
  private volatile @Nullable Seat<?, ?> waitsIn;

  // guarded by this
  private boolean interruptedByLibrary;
  private boolean ended;

  // of the performing thread
  private boolean wasInterrupted;

  Performance(Object instance, @Nullable Object key) {
    this.instance = instance;
    this.key = key;
    this.outer = INNERMOST.get();
  }

  /** Performs a work on the calling thread, the one that created this; what it throws is data. */
  <T extends @Nullable Object> Outcome<T> perform(Callable<? extends T> work) {
    INNERMOST.set(this);
    try {
      return Outcome.value(work.call());
    } catch (Throwable failure) {
      return Outcome.failure(failure);
    } finally {
      if (outer == null) {
        INNERMOST.remove();
      } else {
        INNERMOST.set(outer);
      }
      end();
    }
  }

  /* From here on no interrupt of this library's reaches the thread, and none is left behind. */
  private synchronized void end() {
    ended = true;
    wasInterrupted = thread.isInterrupted();
    if (interruptedByLibrary) {
      Thread.interrupted();
    }
  }

  /** Whether the thread's interrupt flag was set when the work ended. */
  boolean wasInterrupted() {
    return wasInterrupted;
  }

  /** Interrupts the work, unless it has ended. */
  synchronized void interrupt() {
    if (!ended) {
      interruptedByLibrary = true;
      thread.interrupt();
    }
  }

  String threadName() {
    return nameOf(thread);
  }

  /** Returns the innermost performance of an instance on the calling thread, or null. */
  static @Nullable Performance of(Object instance) {
    Performance performance = INNERMOST.get();
    while (performance != null && performance.instance != instance) {
      performance = performance.outer;
    }
    return performance;
  }

  /** Says that the calling thread is about to wait in a seat; throws if that would be for ever. */
  static void waitIn(Seat<?, ?> seat) {
    if (INNERMOST.get() != null) {
      sayThatThisThreadWaitsIn(seat);
      String cycle = cycleFrom(seat);
      if (cycle != null) {
        throw new FlightDeadlockException(cycle);
      }
    }
  }

  /** Says that the calling thread waits no more. */
  static void waitNoMore() {
    sayThatThisThreadWaitsIn(null);
  }

  private static void sayThatThisThreadWaitsIn(@Nullable Seat<?, ?> seat) {
    for (Performance each = INNERMOST.get(); each != null; each = each.outer) {
      each.waitsIn = seat;
    }
  }

  private static @Nullable String cycleFrom(Seat<?, ?> start) {
    List<Seat<?, ?>> seats = new ArrayList<>();
    List<Performance> performances = new ArrayList<>();
    Seat<?, ?> seat = start;
    while (seat != null && !seats.contains(seat)) {
      seats.add(seat);
      Performance next = seat.flight().awaitedPerformance();
      if (next == null) {
        return null;
      }
      performances.add(next);
      if (next.thread == Thread.currentThread()) {
        return stillHolds(seats, performances) ? describe(seats, performances) : null;
      }
      seat = next.waitsIn;
    }
    return null;
  }

  private static boolean stillHolds(List<Seat<?, ?>> seats, List<Performance> performances) {
    for (int i = 0; i < seats.size(); i++) {
      if (seats.get(i).flight().awaitedPerformance() != performances.get(i)
          || (i > 0 && performances.get(i - 1).waitsIn != seats.get(i))) {
        return false;
      }
    }
    return true;
  }

  /** Throws if the calling thread performs what a flight waits for. */
  static void failIfOwn(Flight<?, ?> flight) {
    Performance awaited = flight.awaitedPerformance();
    if (awaited != null && awaited.thread == Thread.currentThread() && flight.isLive()) {
      throw new FlightDeadlockException(
          "this call could only wait for itself: thread %s, which performs %s, asks for it again"
              .formatted(awaited.threadName(), flight.describe()));
    }
  }

  private static String describe(List<Seat<?, ?>> seats, List<Performance> performances) {
    StringBuilder text = new StringBuilder("this call could only wait for itself: thread ");
    text.append(nameOf(Thread.currentThread()));
    for (int i = 0; i < seats.size(); i++) {
      text.append(i == 0 ? " waits for " : ", which waits for ")
          .append(seats.get(i).flight().describe())
          .append(", performed by thread ")
          .append(performances.get(i).threadName());
    }
    return text.toString();
  }

  /** Returns a key as text, whatever its {@code toString} does. */
  static String textOf(Object key) {
    try {
      return String.valueOf(key);
    } catch (Throwable failure) {
      return key.getClass().getName();
    }
  }

  /** Returns a name to find a thread by, also if it is virtual and has none. */
  static String nameOf(Thread thread) {
    String name = thread.getName();
    return name.isEmpty() ? thread.toString() : name;
  }
}
