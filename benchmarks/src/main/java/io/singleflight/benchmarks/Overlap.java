package io.singleflight.benchmarks;

import static java.util.concurrent.TimeUnit.MILLISECONDS;

import io.singleflight.benchmarks.Results.Cell;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;

/**
 * Callers that ask for one key over and over, with work that takes a while: calls a second, and how
 * many of them one execution served.
 *
 * <p>Each execution has a number. A caller that gets the same number twice was given a result of
 * before its call began: whoever replays finished results looks fast, and is found out here. This
 * is no JMH benchmark, since a slice of time yields several figures, and the rivals take slices in
 * turn.
 */
final class Overlap {

  static final String CALLS = "calls/s";
  static final String SERVED = "calls served by one execution";
  static final String STALE = "stale, %";
  static final String AT_ONCE = "executions at once, most";

  private final AtomicLong executions = new AtomicLong();
  private final AtomicInteger underWay = new AtomicInteger();
  private final AtomicInteger mostUnderWay = new AtomicInteger();
  private volatile boolean over;

  private Overlap() {}

  static String setting(int callers, long workNanos) {
    String work =
        workNanos == 0
            ? "no work"
            : workNanos < MILLISECONDS.toNanos(1)
                ? workNanos / 1000 + " µs of computing"
                : workNanos / 1_000_000 + " ms of waiting";
    return callers + " callers, " + work;
  }

  static void run(
      Results results, int callers, long workNanos, List<Rival> rivals, int rounds, int millis)
      throws InterruptedException, ExecutionException {
    ExecutorService threads = Executors.newFixedThreadPool(callers);
    try {
      for (int round = -1; round < rounds; round++) {
        for (Rival rival : rivals) {
          new Overlap()
              .slice(
                  round < 0 ? new Results() : results,
                  threads,
                  callers,
                  workNanos,
                  rival,
                  round < 0 ? millis / 2 : millis);
        }
      }
    } finally {
      threads.shutdownNow();
    }
  }

  private void slice(
      Results results,
      ExecutorService threads,
      int callers,
      long workNanos,
      Rival rival,
      int millis)
      throws InterruptedException, ExecutionException {
    Sharing sharing = rival.create(work(workNanos));
    CyclicBarrier together = new CyclicBarrier(callers + 1);
    Callable<long[]> caller =
        () -> {
          await(together);
          return callUntilOver(sharing);
        };
    List<Future<long[]>> tallies = new ArrayList<>();
    for (int i = 0; i < callers; i++) {
      tallies.add(threads.submit(caller));
    }
    await(together);
    long start = System.nanoTime();
    MILLISECONDS.sleep(millis);
    over = true;
    long calls = 0;
    long stale = 0;
    for (Future<long[]> tally : tallies) {
      calls += tally.get()[0];
      stale += tally.get()[1];
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    String setting = setting(callers, workNanos);
    results.add(new Cell("overlap", setting, rival.name(), CALLS), calls / seconds);
    results.add(
        new Cell("overlap", setting, rival.name(), SERVED), (double) calls / executions.get());
    results.add(new Cell("overlap", setting, rival.name(), STALE), 100.0 * stale / calls);
    results.add(new Cell("overlap", setting, rival.name(), AT_ONCE), mostUnderWay.get());
  }

  private long[] callUntilOver(Sharing sharing) throws Exception {
    long calls = 0;
    long stale = 0;
    long last = 0;
    while (!over) {
      long number = (Long) sharing.call("the key");
      calls++;
      if (number <= last) {
        stale++;
      }
      last = number;
    }
    return new long[] {calls, stale};
  }

  private Function<String, Object> work(long nanos) {
    return key -> {
      mostUnderWay.accumulateAndGet(underWay.incrementAndGet(), Math::max);
      long number = executions.incrementAndGet();
      if (nanos >= MILLISECONDS.toNanos(1)) {
        LockSupport.parkNanos(nanos);
      } else if (nanos > 0) {
        compute(nanos);
      }
      underWay.decrementAndGet();
      return number;
    };
  }

  private static void compute(long nanos) {
    long start = System.nanoTime();
    while (System.nanoTime() - start < nanos) {
      Thread.onSpinWait();
    }
  }

  private static void await(CyclicBarrier together) throws InterruptedException {
    try {
      together.await();
    } catch (BrokenBarrierException e) {
      throw new IllegalStateException(e);
    }
  }
}
