package io.singleflight;

import static java.util.Objects.requireNonNull;

import io.singleflight.FlightListener.Departure;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** A caller's own future: whoever completes it, other than the flight, makes the caller leave. */
final class CallFuture<V extends @Nullable Object> extends CompletableFuture<V> {

  private volatile @Nullable Consumer<Departure> leave;

  /** Sets how to leave, before the caller gets this future. */
  void onLeave(Consumer<Departure> how) {
    leave = how;
  }

  /** Completes this future with the outcome of its flight. */
  void deliver(Outcome<? extends V> outcome) {
    leave = null;
    if (outcome.failure() != null) {
      super.completeExceptionally(outcome.failure());
    } else {
      super.complete(outcome.get());
    }
  }

  /* Leaving comes first: callbacks of this future may take their time. */
  private void leave(Departure departure) {
    Consumer<Departure> how = leave;
    if (how != null && !isDone()) {
      how.accept(departure);
    }
    leave = null;
  }

  @Override
  public boolean complete(V value) {
    leave(Departure.CANCELLED);
    return super.complete(value);
  }

  @Override
  public boolean completeExceptionally(Throwable failure) {
    requireNonNull(failure, "failure");
    leave(failure instanceof TimeoutException ? Departure.TIMED_OUT : Departure.CANCELLED);
    return super.completeExceptionally(failure);
  }

  @Override
  public boolean cancel(boolean mayInterruptIfRunning) {
    leave(Departure.CANCELLED);
    return super.cancel(mayInterruptIfRunning);
  }

  @Override
  public CompletableFuture<V> completeAsync(Supplier<? extends V> supplier, Executor executor) {
    requireNonNull(supplier, "supplier");
    super.completeAsync(
        () -> {
          try {
            return supplier.get();
          } finally {
            leave(Departure.CANCELLED);
          }
        },
        executor);
    return this;
  }

  @Override
  public void obtrudeValue(V value) {
    leave(Departure.CANCELLED);
    super.obtrudeValue(value);
  }

  @Override
  public void obtrudeException(Throwable failure) {
    requireNonNull(failure, "failure");
    leave(Departure.CANCELLED);
    super.obtrudeException(failure);
  }

  @Override
  public <U extends @Nullable Object> CompletableFuture<U> newIncompleteFuture() {
    return new CompletableFuture<>();
  }
}
