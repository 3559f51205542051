package io.singleflight.micrometer;

import static java.util.Objects.requireNonNull;

import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** A caller's own future in place of that of the flight, which it leaves when it is completed. */
final class OwnFuture<V extends @Nullable Object> extends CompletableFuture<V> {

  private final CompletableFuture<Landed<V>> seat;
  private volatile boolean leaving;

  OwnFuture(Call call, CompletableFuture<Landed<V>> seat) {
    this.seat = seat;
    seat.whenComplete((landed, failure) -> {
      try {
        tell(call, landed, failure);
      } finally {
        if (!leaving) {
          call.continueWith(() -> deliver(landed, failure));
        }
      }
    });
  }

  private void tell(Call call, @Nullable Landed<V> landed, @Nullable Throwable failure) {
    if (failure == null) {
      call.landed(landed);
    } else {
      call.failed(failure, leaving);
    }
  }

  private void deliver(@Nullable Landed<V> landed, @Nullable Throwable failure) {
    if (failure == null) {
      super.complete(Call.valueOf(landed));
    } else {
      super.completeExceptionally(failure);
    }
  }

  /* Leaving comes first: callbacks of this future may take their time. */
  private void leave(Throwable reason) {
    if (!isDone()) {
      leaving = true;
      seat.completeExceptionally(reason);
    }
  }

  @Override
  public boolean complete(V value) {
    leave(new CancellationException());
    return super.complete(value);
  }

  @Override
  public boolean completeExceptionally(Throwable failure) {
    leave(requireNonNull(failure, "failure"));
    return super.completeExceptionally(failure);
  }

  @Override
  public boolean cancel(boolean mayInterruptIfRunning) {
    leave(new CancellationException());
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
            leave(new CancellationException());
          }
        },
        executor);
    return this;
  }

  @Override
  public void obtrudeValue(V value) {
    leave(new CancellationException());
    super.obtrudeValue(value);
  }

  @Override
  public void obtrudeException(Throwable failure) {
    leave(new CancellationException());
    super.obtrudeException(failure);
  }

  @Override
  public <U extends @Nullable Object> CompletableFuture<U> newIncompleteFuture() {
    return new CompletableFuture<>();
  }
}
