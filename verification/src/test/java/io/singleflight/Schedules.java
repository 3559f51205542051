package io.singleflight;

import io.singleflight.BrokenSingleFlight.Fault;
import io.singleflight.Checker.Violation;
import io.singleflight.History.Call;
import io.singleflight.History.Execution;
import io.singleflight.History.Kind;
import io.singleflight.Workload.Factory;
import io.singleflight.Workload.Mix;
import io.singleflight.Workload.Worker;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Small workloads of a few threads that make a call or two each, nested ones among them. Workload
 * and schedule both follow from one number, the seed, in any JVM of a kind: see {@link Explorer}.
 *
 * <p>{@link SchedulesTest} runs this in a JVM that Fray has instrumented.
 */
final class Schedules {

  /* What a JVM does only once is no part of a schedule: so many workloads run before the first. */
  private static final int WARM_UP = 100;
  private static final int MAX_STEPS = 100_000;

  private final @Nullable Fault fault;
  private long calls;
  private long executions;
  private long shared;
  private long deadlocks;

  private Schedules(@Nullable Fault fault) {
    this.fault = fault;
  }

  /** Explores a number of schedules from a seed on; of the real thing, or with a fault. */
  public static void main(String[] args) {
    int first = Integer.parseInt(args[0]);
    int count = Integer.parseInt(args[1]);
    Fault fault = args.length > 2 ? Fault.valueOf(args[2]) : null;
    Schedules warmUp = new Schedules(null);
    IntStream.range(0, WARM_UP).forEach(warmUp::play);
    Schedules schedules = new Schedules(fault);
    Explorer explorer = new Explorer(MAX_STEPS, schedules::play);
    Throwable found = explorer.explore(first, count);
    if (found != null) {
      found.printStackTrace(System.out);
      System.out.println("seed: " + explorer.last());
    }
    System.out.printf(
        "schedules: %,d, with %,d calls in %,d executions, %,d shared, %,d deadlocks detected%n",
        explorer.last() + 1 - first,
        schedules.calls,
        schedules.executions,
        schedules.shared,
        schedules.deadlocks);
    // Fray takes an exit for the end of a program under test.
    Runtime.getRuntime().halt(found == null ? 0 : 1);
  }

  private void play(int seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Freshness freshness =
        fault == null && random.nextBoolean() ? Freshness.NEXT : Freshness.RUNNING;
    boolean superseding = fault == null && freshness == Freshness.RUNNING && random.nextInt(4) == 0;
    Mix mix =
        new Mix(
            fault == null && random.nextBoolean()
                ? EnumSet.allOf(Kind.class)
                : EnumSet.of(Kind.CALL),
            /* keys= */ 1 + random.nextInt(2),
            /* departures= */ random.nextBoolean(),
            /* forgets= */ random.nextBoolean(),
            /* handOffs= */ random.nextBoolean(),
            /* nesting= */ fault == null && random.nextBoolean());
    Tasks tasks = new Tasks();
    Workload workload =
        new Workload(factory(freshness, superseding, tasks), mix, /* haste= */ 20, tasks);
    List<Worker> workers = new ArrayList<>();
    int share = 1 + random.nextInt(2);
    for (int threads = 2 + random.nextInt(2); threads > 0; threads--) {
      workers.add(workload.new Worker(share, random.split()));
    }
    workers.forEach(Thread::start);
    for (int i = random.nextInt(4); i > 0; i--) {
      workers.forEach(Worker::interruptIfArmed);
      Thread.yield();
    }
    workers.forEach(Schedules::join);
    tasks.joinAll();
    List<Violation> violations = workload.violations(workers, freshness, superseding);
    if (!violations.isEmpty()) {
      throw new AssertionError("seed " + seed + ", " + freshness + ": " + violations);
    }
    workload.calls(workers).forEach(this::count);
  }

  private void count(Call call) {
    calls++;
    executions += call.executions.get();
    shared += call.outcome != null && call.outcome.owner != call ? 1 : 0;
    deadlocks += call.failure instanceof FlightDeadlockException ? 1 : 0;
  }

  private Factory factory(Freshness freshness, boolean superseding, Executor standard) {
    if (fault != null) {
      return (listener, executor, handOffOn) ->
          new BrokenSingleFlight<>(fault, listener, handOffOn);
    }
    AtomicLong clock = new AtomicLong();
    return (listener, executor, handOffOn) -> {
      SingleFlight.Builder<Integer, Execution> builder =
          SingleFlight.<Integer, Execution>builder()
              .listener(listener)
              .executor(executor)
              .handOffOn(handOffOn)
              .freshness(freshness);
      if (superseding) {
        builder.maxJoinAge(Duration.ofNanos(8)).maxFollowers(1);
      }
      return builder.build(clock::incrementAndGet, standard);
    };
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException impossible) {
      throw new AssertionError(impossible);
    }
  }

  /** A thread for each task; pools keep threads waiting, which would not be seen to hang. */
  private static final class Tasks implements Executor {
    private final List<Thread> all = Collections.synchronizedList(new ArrayList<>());

    @Override
    public void execute(Runnable task) {
      Thread thread = new Thread(task, "task");
      all.add(thread);
      thread.start();
    }

    /* Tasks may start others while we wait for them. */
    void joinAll() {
      for (int i = 0; i < all.size(); i++) {
        join(all.get(i));
      }
    }
  }
}
