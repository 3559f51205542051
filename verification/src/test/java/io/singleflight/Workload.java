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
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Random calls of several threads for few keys, which are recorded.
 *
 * <p>Only calls that are marked as interruptible are ever interrupted: an interrupt would wake a
 * caller that the implementation had forgotten.
 */
final class Workload {

  /** What is to happen. */
  record Mix(
      Set<Kind> kinds,
      int keys,
      boolean departures,
      boolean forgets,
      boolean handOffs,
      boolean nesting) {}

  interface Factory {
    SingleFlight<Integer, Execution> create(
        FlightListener<Integer> listener,
        Executor executor,
        Predicate<? super Throwable> handOffOn);
  }

  final History history = new History();
  final SingleFlight<Integer, Execution> flights;
  private final Mix mix;
  private final int haste;
  private final Executor executor;
  private final Log nested = new Log();
  private final ThreadLocal<Map<Integer, Call>> calling = new ThreadLocal<>();

  /**
   * Prepares a workload.
   *
   * @param executor where works run; has a thread for each if calls are nested
   * @param haste how many times as often as under a long load that happens which is rare there
   */
  Workload(Factory factory, Mix mix, int haste, Executor executor) {
    this.mix = mix;
    this.haste = haste;
    this.executor = executor;
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
          if (mix.departures && tasks.incrementAndGet() % rare(5_000) == 0) {
            throw new RejectedExecutionException("one in many");
          }
          executor.execute(task);
        };
    this.flights =
        factory.create(listener, refusing, failure -> failure instanceof Failure ours && ours.own);
  }

  /** Judges what was done, all at rest now; it began at rest as well. */
  List<Violation> violations(List<Worker> workers, Freshness freshness, boolean superseding) {
    List<Log> all = new ArrayList<>(List.of(nested));
    workers.forEach(worker -> all.add(worker.log));
    List<Violation> violations = new ArrayList<>(Checker.check(all, freshness, superseding));
    if (violations.isEmpty() && !flights.inFlight().isEmpty()) {
      violations.add(new Violation(Checker.Rule.RETURN, "still in flight: " + flights.inFlight()));
    }
    return violations;
  }

  Stream<Call> calls(List<Worker> workers) {
    return Stream.concat(
        workers.stream().flatMap(worker -> worker.log.calls.stream()), nested.calls.stream());
  }

  private int rare(int oneIn) {
    return Math.max(3, oneIn / haste);
  }

  final class Worker extends Thread {
    private static final int DISARMED = 0;
    private static final int ARMED = 1;
    private static final int FIRING = 2;

    final Log log = new Log();
    volatile boolean giveUp;
    private final AtomicInteger trigger = new AtomicInteger();
    private final int share;
    private final SplittableRandom random;

    Worker(int share, SplittableRandom random) {
      super("worker");
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
        if (mix.forgets && random.nextInt(rare(200)) == 0) {
          int key = random.nextInt(mix.keys);
          long begun = history.tick();
          flights.forget(key);
          log.forgets.add(new Forget(key, begun, history.tick()));
        }
        boolean interruptible = mix.departures && random.nextInt(rare(50)) == 0;
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
          Thread.yield();
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
          boolean soon = mix.departures && random.nextInt(rare(20)) == 0;
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
        if (mix.departures && random.nextInt(rare(15)) == 0) {
          switch (random.nextInt(4)) {
            case 0 -> future.cancel(true);
            case 1 -> {
              yieldTimes(random.nextInt(20));
              future.cancel(true);
            }
            case 2 -> executor.execute(() -> future.completeExceptionally(new TimeoutException()));
            default -> {
              yieldTimes(random.nextInt(20));
              future.completeExceptionally(new TimeoutException());
            }
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
    nest(plan);
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
      executor.execute(rest);
    }
    return stage;
  }

  private Map<Integer, Execution> performBatch(
      Map<Integer, Call> calls, Set<Integer> keys, int plan) throws Failure, InterruptedException {
    List<Execution> executions = new ArrayList<>();
    for (Integer key : keys) {
      executions.add(history.executionBegins(calls.get(key)));
    }
    nest(plan);
    end(executions, plan);
    Map<Integer, Execution> values = new HashMap<>();
    executions.forEach(each -> values.put(each.owner.key, each));
    return values;
  }

  /** Calls inside a work, if that was planned; the work goes on whatever comes of it. */
  private void nest(int plan) {
    SplittableRandom random = new SplittableRandom(~plan);
    if (!mix.nesting || random.nextInt(3) > 0) {
      return;
    }
    int key = random.nextInt(mix.keys);
    Call call = new Call(Kind.CALL, key, mix.departures, history.tick());
    synchronized (nested) {
      nested.calls.add(call);
    }
    Map<Integer, Call> outer = calling.get();
    calling.set(Map.of(key, call));
    try {
      call.outcome = flights.call(key, own -> perform(call, 2 * plan + 1));
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    } catch (Throwable failure) {
      call.outcome = Checker.executionOf(failure, key);
      call.failure = failure;
    } finally {
      calling.set(outer);
      call.returned = history.tick();
    }
  }

  /** Takes the time that was planned, and ends as planned. */
  private void end(List<Execution> executions, int plan) throws Failure, InterruptedException {
    SplittableRandom random = new SplittableRandom(plan);
    int pace = random.nextInt(100);
    if (pace < 40) {
      yieldTimes(pace % 8);
    } else if (mix.departures && pace == 40) {
      LockSupport.parkNanos(200_000);
    }
    boolean own = mix.handOffs && random.nextInt(rare(100)) == 0;
    Exception failure = null;
    if (mix.departures && Thread.currentThread().isInterrupted()) {
      Thread.interrupted();
      failure = new Interruption(executions);
    } else if (own || random.nextInt(rare(20)) == 0) {
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
