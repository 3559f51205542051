package io.singleflight.micrometer;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Keeps from the calls what handlers, filters and conventions of observations throw, and accessors
 * of thread locals: it is logged once, and changes nothing else.
 */
final class Guard {

  private final AtomicBoolean logged = new AtomicBoolean();

  void run(Runnable step) {
    get(
        () -> {
          step.run();
          return true;
        },
        false);
  }

  <T extends @Nullable Object> T get(Supplier<? extends T> step, T otherwise) {
    try {
      return step.get();
    } catch (Throwable failure) {
      if (logged.compareAndSet(false, true)) {
        System.getLogger("io.singleflight")
            .log(System.Logger.Level.WARNING, "an observation failed, logged once", failure);
      }
      return otherwise;
    }
  }
}
