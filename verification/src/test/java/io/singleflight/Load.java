package io.singleflight;

import io.singleflight.Checker.Violation;
import io.singleflight.History.Call;
import io.singleflight.History.Execution;
import io.singleflight.History.Failure;
import io.singleflight.History.Forget;
import io.singleflight.History.Interruption;
import io.singleflight.History.Kind;
import io.singleflight.History.Log;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Random calls of many threads for few keys, recorded and judged round by round. A round begins and
 * ends with nothing in progress.
 *
 * <p>Only calls that are marked as interruptible are ever interrupted: an interrupt would wake a
 * caller that the implementation had forgotten.
 */
final class Load {

  /** What is to happen. */
  record Mix(Set<Kind> kinds, int keys, boolean departures, boolean forgets, boolean handOffs) {}

  /** What was seen. */
  record Report(
      long calls, long executions, long shared, long forgets, List<Violation> violations) {}

  interface Factory {
    SingleFlight<Integer, Execution> create(
        FlightListener<Integer> listener,
        Executor executor,
        Predicate<? super Throwable> handOffOn);
  }

  private static final int THREADS = 8;
  private static final int CALLS_PER_ROUND = 100_000;

  private final Mix mix;
  private final Freshness freshness;
  private final boolean superseding;
  private final long patience;
  private final History history = new History();
  private final SingleFlight<Integer, Execution> flights;
  private final ExecutorService pool = Executors.newFixedThreadPool(4, Load::daemon);
  private final ThreadLocal<Map<Integer, Call>> calling = new ThreadLocal<>();

  /**
   * Prepares a load.
   *
   * @param patience seconds without any event after which a load counts as hanging
   */
  Load(Factory factory, Mix mix, Freshness freshness, boolean superseding, long patience) {
    this.mix = mix;
    this.freshness = freshness;
    this.superseding = superseding;
    this.patience = patience;
    FlightListener<Integer> listener =
        new FlightListener<>() {
          @Override
          public void joined(Integer key, int callers) {
            calling.get().get(key).joined = true;
          }
        };
    AtomicInteger tasks = new AtomicInteger();
    Executor refusing =
        task -> {
          if (mix.departures && tasks.incrementAndGet() % 5_000 == 0) {
            throw new RejectedExecutionException("one in 5,000");
          }
          pool.execute(task);
        };
    this.flights =
        factory.create(listener, refusing, failure -> failure instanceof Failure ours && ours.own);
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
          workers.add(new Worker(share, seeds.split()));
        }
        List<Log> logs = round(workers);
        violations = new ArrayList<>(Checker.check(logs, freshness, superseding));
        if (violations.isEmpty() && !flights.inFlight().isEmpty()) {
          violations.add(
              new Violation(Checker.Rule.RETURN, "still in flight: " + flights.inFlight()));
        }
        for (Log log : logs) {
          made += log.calls.size();
          forgets += log.forgets.size();
          for (Call call : log.calls) {
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

  private List<Log> round(List<Worker> workers) {
    workers.forEach(Thread::start);
    Thread interrupter = daemon(() -> interruptUntilAllEnd(workers));
    interrupter.start();
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
    return workers.stream().map(worker -> worker.log).toList();
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

  private final class Worker extends Thread {
    private static final int DISARMED = 0;
    private static final int ARMED = 1;
    private static final int FIRING = 2;

    final Log log = new Log();
    volatile boolean giveUp;
    private final AtomicInteger trigger = new AtomicInteger();
    private final int share;
    private final SplittableRandom random;

    Worker(int share, SplittableRandom random) {
      super("load");
      setDaemon(true);
      this.share = share;
      this.random = random;
    }

    void interruptIfArmed() {
      if (trigger.compareAndSet(ARMED, FIRING)) {
        interrupt();
        trigger.set(DISARMED);
      }
    }

    @Override
    public void run() {
      List<Kind> kinds = List.copyOf(mix.kinds);
      while (log.calls.size() < share && !giveUp) {
        if (mix.forgets && random.nextInt(200) == 0) {
          int key = random.nextInt(mix.keys);
          long begun = history.tick();
          flights.forget(key);
          log.forgets.add(new Forget(key, begun, history.tick()));
        }
        boolean interruptible = mix.departures && random.nextInt(50) == 0;
        Kind kind = random.nextBoolean() ? Kind.CALL : kinds.get(random.nextInt(kinds.size()));
        if (!mix.kinds.contains(kind)) {
          kind = kinds.get(0);
        }
        Map<Integer, Call> calls = new LinkedHashMap<>();
        for (int i = kind == Kind.CALL_ALL ? 1 + random.nextInt(3) : 1; i > 0; i--) {
          int key = random.nextInt(mix.keys);
          calls.put(key, new Call(kind, key, interruptible, history.tick()));
        }
        log.calls.addAll(calls.values());
        if (interruptible) {
          trigger.set(ARMED);
        }
        calling.set(calls);
        Map<Integer, Execution> values = new HashMap<>();
        Throwable failure = null;
        try {
          values.putAll(make(kind, calls));
        } catch (Throwable thrown) {
          failure = thrown;
        }
        calling.remove();
        while (interruptible && !trigger.compareAndSet(ARMED, DISARMED)) {
          if (trigger.get() == DISARMED) {
            break;
          }
        }
        if (giveUp) {
          return;
        }
        Thread.interrupted();
        long returned = history.tick();
        for (Call call : calls.values()) {
          call.outcome = values.get(call.key);
          if (failure != null && kind != Kind.CALL_ALL) {
            call.outcome = Checker.executionOf(failure, call.key);
            call.failure = failure;
          }
          call.returned = returned;
        }
      }
    }

    private Map<Integer, Execution> make(Kind kind, Map<Integer, Call> calls) throws Throwable {
      Call call = calls.values().iterator().next();
      int plan = random.nextInt();
      return switch (kind) {
        case CALL -> Map.of(call.key, flights.call(call.key, key -> perform(call, plan)));
        case TIMED_CALL -> {
          boolean soon = mix.departures && random.nextInt(20) == 0;
          Duration timeout = soon ? Duration.ofNanos(20_000) : Duration.ofDays(1);
          yield Map.of(call.key, flights.call(call.key, timeout, key -> perform(call, plan)));
        }
        case SUBMIT -> await(call, flights.submit(call.key, key -> perform(call, plan)));
        case CALL_ASYNC -> await(call, flights.callAsync(call.key, key -> stage(call, plan)));
        case CALL_ALL -> flights.callAll(calls.keySet(), keys -> performBatch(calls, keys, plan));
      };
    }

    private Map<Integer, Execution> await(Call call, CompletableFuture<Execution> future)
        throws Throwable {
      try {
        if (mix.departures) {
          switch (random.nextInt(60)) {
            case 0 -> future.cancel(true);
            case 1 -> {
              yieldTimes(random.nextInt(20));
              future.cancel(true);
            }
            case 2 -> future.orTimeout(20, TimeUnit.MICROSECONDS);
            case 3 -> {
              yieldTimes(random.nextInt(20));
              future.completeExceptionally(new TimeoutException());
            }
            default -> {}
          }
        }
        return Map.of(call.key, future.get());
      } catch (ExecutionException failed) {
        throw failed.getCause();
      } catch (InterruptedException | CancellationException gone) {
        future.cancel(true);
        throw gone;
      }
    }
  }

  private Execution perform(Call call, int plan) throws Failure, InterruptedException {
    List<Execution> executions = List.of(history.executionBegins(call));
    end(executions, plan);
    return executions.get(0);
  }

  private CompletionStage<Execution> stage(Call call, int plan) {
    Execution execution = history.executionBegins(call);
    CompletableFuture<Execution> stage = new CompletableFuture<>();
    Runnable rest =
        () -> {
          try {
            end(List.of(execution), plan);
            stage.complete(execution);
          } catch (Throwable failure) {
            stage.completeExceptionally(failure);
          }
        };
    if (plan % 2 == 0) {
      rest.run();
    } else {
      pool.execute(rest);
    }
    return stage;
  }

  private Map<Integer, Execution> performBatch(
      Map<Integer, Call> calls, Set<Integer> keys, int plan) throws Failure, InterruptedException {
    List<Execution> executions = new ArrayList<>();
    for (Integer key : keys) {
      executions.add(history.executionBegins(calls.get(key)));
    }
    end(executions, plan);
    Map<Integer, Execution> values = new HashMap<>();
    executions.forEach(each -> values.put(each.owner.key, each));
    return values;
  }

  /** Takes the time that was planned, and ends as planned. */
  private void end(List<Execution> executions, int plan) throws Failure, InterruptedException {
    int chance = Math.floorMod(plan >> 8, 1000);
    if (chance < 400) {
      yieldTimes(chance % 8);
    } else if (mix.departures && chance < 410) {
      LockSupport.parkNanos(200_000);
    }
    boolean own = mix.handOffs && chance % 100 == 7;
    Exception failure = null;
    if (mix.departures && Thread.currentThread().isInterrupted()) {
      Thread.interrupted();
      failure = new Interruption(executions);
    } else if (own || chance % 20 == 3) {
      failure = new Failure(executions, own);
    }
    for (Execution each : executions) {
      history.executionEnds(each, failure);
    }
    if (failure instanceof Interruption interruption) {
      throw interruption;
    } else if (failure instanceof Failure planned) {
      throw planned;
    }
  }

  private static void yieldTimes(int times) {
    for (int i = 0; i < times; i++) {
      Thread.yield();
    }
  }

  /** Returns how to create the real thing. */
  static Factory real(Freshness freshness, @Nullable Duration maxJoinAge) {
    return (listener, executor, handOffOn) -> {
      SingleFlight.Builder<Integer, Execution> builder =
          SingleFlight.<Integer, Execution>builder()
              .listener(listener)
              .executor(executor)
              .handOffOn(handOffOn)
              .freshness(freshness);
      return (maxJoinAge == null ? builder : builder.maxJoinAge(maxJoinAge).maxFollowers(3))
          .build();
    };
  }
}
