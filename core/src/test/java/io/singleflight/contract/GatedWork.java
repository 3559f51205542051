package io.singleflight.contract;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/** A work for every kind of call: it says when it has begun, and ends when it is told to. */
final class GatedWork {

  private final CompletableFuture<Object> gate = new CompletableFuture<>();
  private final CountDownLatch begun = new CountDownLatch(1);
  private final CountDownLatch interrupted = new CountDownLatch(1);
  private final AtomicInteger executions = new AtomicInteger();
  private final boolean stubborn;
  private final Function<Object, CompletionStage<Object>> function;
  private final Contract.Body body;

  volatile Thread thread;
  volatile Object key;
  volatile CompletableFuture<Object> stage;

  private GatedWork(
      boolean stubborn, Function<Object, CompletionStage<Object>> function, Contract.Body body) {
    this.stubborn = stubborn;
    this.function = function;
    this.body = body;
  }

  static GatedWork gated() {
    return new GatedWork(false, null, null);
  }

  /** A work that does not end when it is interrupted or cancelled. */
  static GatedWork stubborn() {
    return new GatedWork(true, null, null);
  }

  /** A work for {@code callAsync} that is this function. */
  static GatedWork function(Function<Object, CompletionStage<Object>> function) {
    return new GatedWork(false, function, null);
  }

  /** A work that does this on the thread that performs it, whatever the kind, and has no gate. */
  static GatedWork doing(Contract.Body body) {
    return new GatedWork(false, null, body);
  }

  static GatedWork returning(Object value) {
    GatedWork work = gated();
    work.returns(value);
    return work;
  }

  static GatedWork failing(Throwable failure) {
    GatedWork work = gated();
    work.fails(failure);
    return work;
  }

  void returns(Object value) {
    gate.complete(value);
  }

  void fails(Throwable failure) {
    gate.completeExceptionally(failure);
  }

  int executions() {
    return executions.get();
  }

  void awaitBegun() throws InterruptedException {
    Contract.await(begun, "the work to begin");
  }

  void awaitInterrupted() throws InterruptedException {
    Contract.await(interrupted, "the work to be interrupted");
  }

  boolean wasInterrupted() {
    return interrupted.getCount() == 0;
  }

  Object perform(Object calledWith) {
    begin(calledWith);
    if (body != null) {
      return performBody();
    }
    while (!gate.isDone()) {
      try {
        gate.handle((value, failure) -> null).get();
      } catch (ExecutionException impossible) {
        throw new AssertionError(impossible);
      } catch (InterruptedException interruption) {
        interrupted.countDown();
        if (!stubborn) {
          throw sneaky(interruption);
        }
      }
    }
    Throwable failed = gate.<Throwable>handle((value, failure) -> failure).join();
    if (failed != null) {
      throw sneaky(failed);
    }
    return gate.join();
  }

  private Object performBody() {
    try {
      return body.perform();
    } catch (Exception failure) {
      throw sneaky(failure);
    }
  }

  CompletionStage<Object> performAsync(Object calledWith) {
    CompletableFuture<Object> own = new CompletableFuture<>();
    stage = own;
    begin(calledWith);
    if (function != null) {
      return function.apply(calledWith);
    }
    if (body != null) {
      return CompletableFuture.completedFuture(performBody());
    }
    gate.whenComplete((value, failure) -> {
      if (failure == null) {
        own.complete(value);
      } else {
        own.completeExceptionally(failure);
      }
    });
    return own;
  }

  Map<Object, Object> performBatch(Set<Object> keys) {
    Object value = perform(keys.iterator().next());
    Map<Object, Object> values = new HashMap<>();
    keys.forEach(each -> values.put(each, value));
    return values;
  }

  private void begin(Object calledWith) {
    executions.incrementAndGet();
    thread = Thread.currentThread();
    key = calledWith;
    begun.countDown();
  }

  @SuppressWarnings("unchecked")
  static <X extends Throwable> RuntimeException sneaky(Throwable failure) throws X {
    throw (X) failure;
  }
}
