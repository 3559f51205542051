package io.singleflight.spring;

import java.util.concurrent.CompletionException;

/** Throws what a method does not declare. */
final class Failures {

  private Failures() {}

  /** Wraps the failure of a wait, for a method that does not declare it. */
  static CompletionException unchecked(Exception failure) {
    if (failure instanceof InterruptedException) {
      Thread.currentThread().interrupt();
    }
    return new CompletionException(failure.getMessage(), failure);
  }

  /** Throws a failure as it is, checked or not. */
  @SuppressWarnings("unchecked")
  static <X extends Throwable> RuntimeException sneaky(Throwable failure) throws X {
    throw (X) failure;
  }
}
