package io.singleflight;

import io.singleflight.Checker.Violation;
import io.singleflight.History.Call;
import io.singleflight.Workload.Factory;
import io.singleflight.Workload.Mix;
import io.singleflight.Workload.Worker;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * A {@link Workload} of many threads, judged round by round. A round begins and ends with nothing
 * in progress.
 */
final class Load {

  /** What was seen. */
  record Report(
      long calls, long executions, long shared, long forgets, List<Violation> violations) {}

  private static final int THREADS = 8;
  private static final int CALLS_PER_ROUND = 100_000;

  private final Freshness freshness;
  private final boolean superseding;
  private final long patience;
  private final ExecutorService pool = Executors.newFixedThreadPool(4, Load::daemon);
  private final Workload workload;

  /**
   * Prepares a load.
   *
   * @param patience seconds without any event after which a load counts as hanging
   */
  Load(Factory factory, Mix mix, Freshness freshness, boolean superseding, long patience) {
    this.freshness = freshness;
    this.superseding = superseding;
    this.patience = patience;
    this.workload = new Workload(factory, mix, 1, pool);
  }

  /** Makes at least so many calls, or fewer if something is wrong. */
  Report run(long calls, long seed) {
    SplittableRandom seeds = new SplittableRandom(seed);
    long made = 0;
    long executions = 0;
    long shared = 0;
    long forgets = 0;
    List<Violation> violations = List.of();
    try {
      while (made < calls && violations.isEmpty()) {
        List<Worker> workers = new ArrayList<>();
        int share = (int) Math.min(CALLS_PER_ROUND, calls - made) / THREADS + 1;
        for (int i = 0; i < THREADS; i++) {
          workers.add(workload.new Worker(share, seeds.split()));
        }
        play(workers);
        violations = workload.violations(workers, freshness, superseding);
        for (Worker worker : workers) {
          made += worker.log.calls.size();
          forgets += worker.log.forgets.size();
          for (Call call : worker.log.calls) {
            executions += call.executions.get();
            shared += call.outcome != null && call.outcome.owner != call ? 1 : 0;
          }
        }
      }
    } finally {
      pool.shutdownNow();
    }
    return new Report(made, executions, shared, forgets, violations);
  }

  private void play(List<Worker> workers) {
    workers.forEach(Thread::start);
    Thread interrupter = daemon(() -> interruptUntilAllEnd(workers));
    interrupter.start();
    History history = workload.history;
    long seen = -1;
    long since = System.nanoTime();
    while (workers.stream().anyMatch(Thread::isAlive) || history.openExecutions.get() > 0) {
      if (history.now() != seen) {
        seen = history.now();
        since = System.nanoTime();
      } else if (System.nanoTime() - since > TimeUnit.SECONDS.toNanos(patience)) {
        break;
      }
      LockSupport.parkNanos(1_000_000);
    }
    boolean hangs = workers.stream().anyMatch(Thread::isAlive);
    workers.forEach(worker -> worker.giveUp = true);
    if (hangs) {
      workers.forEach(Thread::interrupt);
    }
  }

  private static void interruptUntilAllEnd(List<Worker> workers) {
    while (workers.stream().anyMatch(worker -> worker.isAlive() && !worker.giveUp)) {
      for (Worker worker : workers) {
        worker.interruptIfArmed();
      }
      LockSupport.parkNanos(100_000);
    }
  }

  private static Thread daemon(Runnable task) {
    Thread thread = new Thread(task, "load");
    thread.setDaemon(true);
    return thread;
  }
}
