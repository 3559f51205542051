package io.singleflight;

import java.nio.channels.ClosedByInterruptException;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** What a work ended in: a value, a failure, or, in a batch, neither. */
record Outcome<V extends @Nullable Object>(
    @Nullable V value, @Nullable Throwable failure, boolean absent) {

  // Chains of causes may have cycles.
  private static final int MAX_CAUSES = 1000;

  static <V extends @Nullable Object> Outcome<V> value(@Nullable V value) {
    return new Outcome<>(value, null, false);
  }

  static <V extends @Nullable Object> Outcome<V> failure(Throwable failure) {
    return new Outcome<>(null, failure, false);
  }

  /** What a work has come to. */
  static <V extends @Nullable Object> Outcome<V> of(Callable<? extends V> work) {
    try {
      return value(work.call());
    } catch (Throwable failure) {
      return failure(failure);
    }
  }

  /**
   * What a stage has completed with; a {@code CompletionException} around its failure is removed.
   */
  static <V extends @Nullable Object> Outcome<V> ofStage(
      @Nullable V value, @Nullable Throwable failure) {
    if (failure == null) {
      return value(value);
    }
    Throwable cause = failure instanceof CompletionException ? causeOf(failure) : null;
    return failure(cause == null ? failure : cause);
  }

  static <V extends @Nullable Object> Outcome<V> absentFromBatch() {
    return new Outcome<>(null, null, true);
  }

  /** Returns the value or throws the failure itself, unwrapped even if it is checked. */
  @SuppressWarnings("NullAway") // V admits null wherever the work's value does
  V get() {
    if (failure != null) {
      throw sneaky(failure);
    }
    return value;
  }

  /** Whether this is a failure for a reason of the leader's own. */
  boolean isLeadersOwn(boolean interrupted, Predicate<? super Throwable> handOffOn) {
    try {
      return failure != null && (interrupted || isInterruption(failure) || handOffOn.test(failure));
    } catch (Throwable undecided) {
      return false;
    }
  }

  private static boolean isInterruption(Throwable failure) {
    Throwable cause = failure;
    for (int depth = 0; cause != null && depth < MAX_CAUSES; depth++) {
      if (cause instanceof InterruptedException || cause instanceof ClosedByInterruptException) {
        return true;
      }
      cause = causeOf(cause);
    }
    return false;
  }

  private static @Nullable Throwable causeOf(Throwable failure) {
    try {
      return failure.getCause();
    } catch (Throwable unknown) {
      return null;
    }
  }

  @SuppressWarnings("unchecked")
  private static <X extends Throwable> RuntimeException sneaky(Throwable failure) throws X {
    throw (X) failure;
  }
}
