package io.singleflight.benchmarks;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * Threads that all call for one key while its work is under way, again and again.
 *
 * <p>The leader's work ends when all the others wait; from there on it is measured who has the
 * value when.
 */
final class Herd implements AutoCloseable {

  /**
   * @param leaderNanos until the leader's call has returned
   * @param halfNanos until half of the calls have returned
   * @param allNanos until all have
   * @param cpuNanos the CPU time of all threads in the meantime, carriers included
   * @param executions how often the work was performed
   */
  record Release(long leaderNanos, long halfNanos, long allNanos, long cpuNanos, int executions) {}

  private static final ThreadMXBean THREADS =
      ManagementFactory.getPlatformMXBean(ThreadMXBean.class);

  private final Thread coordinator = Thread.currentThread();
  private final Thread[] threads;
  private final AtomicInteger[] rounds;
  private final long[] returned;
  private final AtomicInteger missing = new AtomicInteger();
  private final AtomicInteger executions = new AtomicInteger();
  private Sharing sharing;
  private long[] ids;
  private long workEnded;
  private volatile boolean leaderWorks;
  private volatile boolean gateOpen;
  private volatile boolean closed;

  Herd(int size, ThreadKind kind) {
    threads = new Thread[size];
    returned = new long[size];
    rounds = new AtomicInteger[size];
    Arrays.setAll(rounds, i -> new AtomicInteger());
    for (int i = 0; i < size; i++) {
      int member = i;
      threads[i] = kind.start(() -> live(member));
    }
  }

  /** The work that has to be shared: it ends when everybody else waits. */
  Object work(String key) {
    if (executions.incrementAndGet() == 1) {
      leaderWorks = true;
      LockSupport.unpark(coordinator);
      while (!gateOpen) {
        LockSupport.park();
      }
      workEnded = System.nanoTime();
    }
    return key;
  }

  Release release(Sharing sharing) {
    this.sharing = sharing;
    executions.set(0);
    leaderWorks = false;
    gateOpen = false;
    missing.set(threads.length);
    enter(0);
    while (!leaderWorks) {
      LockSupport.park();
    }
    for (int i = 1; i < threads.length; i++) {
      enter(i);
    }
    awaitAllWaiting();
    long cpu = cpuNanos();
    gateOpen = true;
    LockSupport.unpark(threads[0]);
    while (missing.get() > 0) {
      LockSupport.park();
    }
    cpu = cpuNanos() - cpu;
    long leader = returned[0];
    Arrays.sort(returned);
    return new Release(
        leader - workEnded,
        returned[(returned.length - 1) / 2] - workEnded,
        returned[returned.length - 1] - workEnded,
        cpu,
        executions.get());
  }

  private long cpuNanos() {
    if (ids == null) {
      ids = THREADS.getAllThreadIds();
    }
    return Arrays.stream(THREADS.getThreadCpuTime(ids)).sum();
  }

  private void enter(int member) {
    rounds[member].incrementAndGet();
    LockSupport.unpark(threads[member]);
  }

  /*
   * Twice over, since a thread may for once wait for something else, such as a lock. Who tells how
   * many callers it has is asked too.
   */
  private void awaitAllWaiting() {
    for (int inARow = 0; inARow < 2; ) {
      inARow = allWait() ? inARow + 1 : 0;
      Thread.yield();
    }
  }

  private boolean allWait() {
    if (sharing.callers().orElse(threads.length) != threads.length) {
      return false;
    }
    for (int i = 1; i < threads.length; i++) {
      if (rounds[i].get() > 0) {
        return false;
      }
      switch (threads[i].getState()) {
        case WAITING, TIMED_WAITING, BLOCKED -> {}
        default -> {
          return false;
        }
      }
    }
    return true;
  }

  private void live(int member) {
    while (true) {
      while (rounds[member].get() == 0) {
        if (closed) {
          return;
        }
        LockSupport.park();
      }
      try {
        Sharing mine = sharing;
        rounds[member].set(0);
        mine.call("the key");
      } catch (Exception failure) {
        failure.printStackTrace();
        System.exit(1);
      }
      returned[member] = System.nanoTime();
      if (missing.decrementAndGet() == 0) {
        LockSupport.unpark(coordinator);
      }
    }
  }

  @Override
  public void close() {
    closed = true;
    for (Thread thread : threads) {
      LockSupport.unpark(thread);
    }
  }
}
