package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A caller of some kind on a thread of some kind: what it ended in, and how to make it leave. */
final class Caller {

  /**
   * What a call ended in, whether its thread was interrupted then, and whether it was the method
   * that threw: a future's failure is not.
   */
  record End(Object value, Throwable failure, boolean interrupted, boolean thrown) {}

  final Kind kind;
  private final CompletableFuture<End> end = new CompletableFuture<>();
  private final CompletableFuture<CompletableFuture<Object>> future = new CompletableFuture<>();
  private Thread thread;

  private Caller(Kind kind) {
    this.kind = kind;
  }

  static Caller start(
      Kind kind, Threads on, SingleFlight<Object, Object> flights, Object key, GatedWork work) {
    return start(kind, on, flights, key, work, Duration.ofHours(1));
  }

  static Caller start(
      Kind kind,
      Threads on,
      SingleFlight<Object, Object> flights,
      Object key,
      GatedWork work,
      Duration timeout) {
    Caller caller = new Caller(kind);
    caller.thread = on.start(() -> caller.call(flights, key, work, timeout));
    return caller;
  }

  private void call(
      SingleFlight<Object, Object> flights, Object key, GatedWork work, Duration timeout) {
    try {
      switch (kind) {
        case CALL -> ended(flights.call(key, work::perform), null);
        case TIMED_CALL -> ended(flights.call(key, timeout, work::perform), null);
        case CALL_ALL -> ended(flights.callAll(List.of(key), work::performBatch).get(key), null);
        case SUBMIT -> promised(flights.submit(key, work::perform));
        case CALL_ASYNC -> promised(flights.callAsync(key, work::performAsync));
      }
    } catch (Throwable failure) {
      end.complete(new End(null, failure, Thread.currentThread().isInterrupted(), true));
    }
  }

  private void promised(CompletableFuture<Object> own) {
    own.whenComplete(this::ended);
    future.complete(own);
  }

  private void ended(Object value, Throwable failure) {
    end.complete(new End(value, failure, Thread.currentThread().isInterrupted(), false));
  }

  CompletableFuture<Object> future() throws Exception {
    return future.get(Contract.PATIENCE.toSeconds(), TimeUnit.SECONDS);
  }

  Thread thread() {
    return thread;
  }

  boolean hasEnded() {
    return end.isDone();
  }

  End end() throws Exception {
    return end.get(Contract.PATIENCE.toSeconds(), TimeUnit.SECONDS);
  }

  Object value() throws Exception {
    assertThat(end().failure()).as("failure of %s", kind).isNull();
    return end().value();
  }

  /** Returns the failure: thrown if the call blocks, else that of the future that it returned. */
  Throwable failure() throws Exception {
    assertThat(end().failure()).as("failure of %s", kind).isNotNull();
    assertThat(end().thrown()).as("%s throws %s", kind, end().failure()).isEqualTo(kind.blocks());
    return end().failure();
  }

  /** Returns the failure of a call that throws, whatever its kind. */
  Throwable thrown() throws Exception {
    assertThat(end().thrown()).as("%s throws", kind).isTrue();
    return end().failure();
  }

  /** Makes the caller stop waiting. */
  void leave() throws Exception {
    if (kind.blocks()) {
      thread.interrupt();
    } else {
      future().cancel(true);
    }
  }

  /** Waits until a blocking caller has parked. */
  void awaitParked() {
    if (kind.blocks()) {
      Contract.await(() ->
          switch (thread.getState()) {
            case WAITING, TIMED_WAITING -> true;
            default -> false;
          });
    }
  }
}
