package io.singleflight.benchmarks;

import static java.util.concurrent.TimeUnit.SECONDS;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;

/**
 * The figures that the build holds the library to. They must not depend on who else uses the
 * machine: bytes are counted, and of times only the ratio to a rival in the same moments is told.
 *
 * <p>Each figure is the least that was seen: until all is compiled they are greater. A measurement
 * ends as soon as the figure is good enough, so that a slow machine takes longer and does not fail.
 */
final class Gate {

  private static final int CALLS = 5000;
  private static final int ROUNDS = 200;

  private static final ThreadMXBean THREADS =
      ManagementFactory.getPlatformMXBean(ThreadMXBean.class);

  private final Keys keys = Keys.shareOf(Keys.shuffled(1024), 0, 1);
  private Object last;

  /** Returns the bytes that one call allocates, uncontended. */
  double bytesPerCall(Sharing sharing, double goodEnough, int seconds) throws Exception {
    double least = Double.MAX_VALUE;
    long end = System.nanoTime() + SECONDS.toNanos(seconds);
    while (least > goodEnough && System.nanoTime() - end < 0) {
      long before = THREADS.getCurrentThreadAllocatedBytes();
      call(sharing);
      long allocated = THREADS.getCurrentThreadAllocatedBytes() - before;
      least = Math.min(least, (double) allocated / CALLS);
    }
    return least;
  }

  /** Returns how many times as long one uncontended call takes as one of a rival. */
  double timeRatio(Sharing sharing, Sharing rival, double goodEnough, int seconds)
      throws Exception {
    double least = Double.MAX_VALUE;
    long end = System.nanoTime() + SECONDS.toNanos(seconds);
    while (least > goodEnough && System.nanoTime() - end < 0) {
      List<Double> ours = new ArrayList<>();
      List<Double> theirs = new ArrayList<>();
      for (int round = 0; round < ROUNDS; round++) {
        ours.add(nanosOf(sharing));
        theirs.add(nanosOf(rival));
      }
      least =
          Math.min(least, new Samples(ours).lowerQuartile() / new Samples(theirs).lowerQuartile());
    }
    return least;
  }

  private double nanosOf(Sharing sharing) throws Exception {
    long start = System.nanoTime();
    call(sharing);
    return System.nanoTime() - start;
  }

  private void call(Sharing sharing) throws Exception {
    for (int i = 0; i < CALLS; i++) {
      last = sharing.call(keys.next());
    }
  }
}
