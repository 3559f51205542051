package io.singleflight.peers;

import static org.awaitility.Awaitility.await;

import io.singleflight.InFlight;
import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.function.BooleanSupplier;
import org.awaitility.core.ConditionFactory;

/** A call in progress, of any kind, whose caller can leave. */
final class Call {

  static final Duration A_DAY = Duration.ofDays(1);

  /** The kinds of calls. */
  enum Kind {
    CALL,
    TIMED_CALL,
    SUBMIT,
    CALL_ASYNC,
    CALL_ALL;

    Call begin(SingleFlight<String, Integer> flights, String key, Callable<Integer> work) {
      return switch (this) {
        case CALL -> onThread(() -> flights.call(key, k -> work.call()));
        case TIMED_CALL -> onThread(() -> flights.call(key, A_DAY, k -> work.call()));
        case SUBMIT -> ofFuture(flights.submit(key, k -> work.call()));
        case CALL_ASYNC -> ofFuture(flights.callAsync(key, k -> stage(work)));
        case CALL_ALL ->
            onThread(() -> flights.callAll(List.of(key), k -> Map.of(key, work.call())).get(key));
      };
    }
  }

  private final Future<Integer> future;
  private final Runnable leave;
  private final BooleanSupplier waits;

  private Call(Future<Integer> future, Runnable leave, BooleanSupplier waits) {
    this.future = future;
    this.leave = leave;
    this.waits = waits;
  }

  /** Begins a call on a thread of its own; its caller leaves by interrupt. */
  static Call onThread(Callable<Integer> call) {
    FutureTask<Integer> task = new FutureTask<>(call);
    Thread thread = daemon(task);
    return new Call(task, thread::interrupt, () -> thread.getState() == Thread.State.WAITING);
  }

  static Call ofFuture(CompletableFuture<Integer> future) {
    return new Call(future, () -> future.cancel(true), () -> true);
  }

  static Thread daemon(Runnable task) {
    Thread thread = new Thread(task);
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  private static CompletableFuture<Integer> stage(Callable<Integer> work) {
    CompletableFuture<Integer> stage = new CompletableFuture<>();
    daemon(() -> {
      try {
        stage.complete(work.call());
      } catch (Throwable failure) {
        stage.completeExceptionally(failure);
      }
    });
    return stage;
  }

  /** Waits until a thread of this call does: who is only aboard need not be next in line. */
  void awaitWaiting() {
    soon().until(waits::getAsBoolean);
  }

  void leave() {
    leave.run();
  }

  Integer value() throws Exception {
    return future.get();
  }

  /** Waits for the end of the call and returns what it failed with. */
  Throwable failure() throws InterruptedException {
    return failureOf(future);
  }

  static Throwable failureOf(Future<?> future) throws InterruptedException {
    try {
      throw new AssertionError("a failure was expected, not the value " + future.get());
    } catch (ExecutionException failed) {
      return failed.getCause();
    } catch (CancellationException cancelled) {
      return cancelled;
    }
  }

  /** Waits until the flights in progress are one, with so many callers. */
  static void awaitAboard(SingleFlight<?, ?> flights, int callers) {
    soon()
        .until(
            () -> flights.inFlight().stream().map(InFlight::callers).toList(),
            List.of(callers)::equals);
  }

  static ConditionFactory soon() {
    return await().pollDelay(Duration.ZERO).pollInterval(Duration.ofMillis(1)).atMost(A_DAY);
  }
}
