package io.singleflight;

import java.lang.ref.Cleaner;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Hands tasks to an executor such that nobody waits for ever for one that it refuses or drops. */
final class Errands {

  /*
   * An executor that is shut down at once drops what it had queued, and tells nobody. Only the
   * executor holds the errand itself, so a dropped errand becomes unreachable, and the cleaner,
   * which holds the rest, sees to it. The library's own executor drops nothing.
   */

  private static final class Dropped {
    static final Cleaner CLEANER = Cleaner.create();
  }

  private static final class Claim extends AtomicBoolean implements Runnable {
    private static final long serialVersionUID = 1;
    final transient Runnable task;
    final transient Consumer<RejectedExecutionException> orElse;
    final transient Executor fallback;

    Claim(Runnable task, Consumer<RejectedExecutionException> orElse, Executor fallback) {
      this.task = task;
      this.orElse = orElse;
      this.fallback = fallback;
    }

    boolean isFirst() {
      return compareAndSet(false, true);
    }

    @Override
    public void run() {
      if (isFirst()) {
        fallback.execute(
            () -> orElse.accept(new RejectedExecutionException("the executor dropped the task")));
      }
    }
  }

  private static final class Errand implements Runnable {
    private final Claim claim;
    private final Cleaner.Cleanable cleanable;

    Errand(Claim claim) {
      this.claim = claim;
      this.cleanable = Dropped.CLEANER.register(this, claim);
    }

    @Override
    public void run() {
      if (claim.isFirst()) {
        cleanable.clean();
        claim.task.run();
      }
    }
  }

  private final Executor standard;
  private final @Nullable Executor custom;

  Errands(@Nullable Executor custom, Executor standard) {
    this.custom = custom;
    this.standard = standard;
  }

  /** Has a task run by the executor, or else gives what went wrong to {@code orElse}. */
  void execute(Runnable task, Consumer<Throwable> orElse) {
    Claim claim = new Claim(task, orElse::accept, standard);
    try {
      if (custom == null) {
        standard.execute(task);
      } else {
        custom.execute(new Errand(claim));
      }
    } catch (Throwable refusal) {
      if (claim.isFirst()) {
        orElse.accept(refusal);
      }
    }
  }
}
