package io.singleflight;

import java.lang.ref.Cleaner;
import java.util.List;
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

  /* The cleaner holds the state: it must not lead back to the errand. */
  private static final class Errand implements Runnable {
    private final AtomicBoolean taken;
    private final Runnable task;
    private final Cleaner.Cleanable watch;

    Errand(AtomicBoolean taken, Runnable task, Runnable ifDropped) {
      this.taken = taken;
      this.task = task;
      this.watch = Dropped.CLEANER.register(this, ifDropped);
    }

    @Override
    public void run() {
      if (taken.compareAndSet(false, true)) {
        watch.clean();
        task.run();
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
    AtomicBoolean taken = new AtomicBoolean();
    // The task may be another caller's and run inline: this thread's interruption is not its own.
    boolean interrupted = Thread.interrupted();
    try {
      if (custom == null) {
        standard.execute(task);
      } else {
        custom.execute(new Errand(taken, task, () -> takeUpDropped(taken, orElse)));
      }
    } catch (Throwable refusal) {
      if (taken.compareAndSet(false, true)) {
        orElse.accept(refusal);
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /**
   * The same for the work of another caller: never on this thread, which may have its own to go on
   * with, or be the work's to wait for; and never in its context.
   */
  void executeElsewhere(Runnable task, Consumer<Throwable> orElse) {
    if (custom == null) {
      execute(task, orElse);
      return;
    }
    try {
      standard.execute(() -> execute(task, orElse));
    } catch (Throwable noThread) {
      orElse.accept(noThread);
    }
  }

  /** Completes the futures of followers, each in a task of its own; the caller pays for one. */
  <V extends @Nullable Object> void deliver(Herd<?, V> herd, Outcome<V> outcome) {
    Runnable all =
        () -> {
          List<CallFuture<V>> futures = herd.followersFutures();
          for (CallFuture<V> other : futures.subList(1, futures.size())) {
            execute(() -> other.deliver(outcome), refusal -> other.deliver(outcome));
          }
          futures.get(0).deliver(outcome);
        };
    if (herd.hasFollowersFutures()) {
      execute(all, refusal -> all.run());
    }
  }

  private void takeUpDropped(AtomicBoolean taken, Consumer<Throwable> orElse) {
    if (taken.compareAndSet(false, true)) {
      standard.execute(
          () -> orElse.accept(new RejectedExecutionException("the executor dropped the task")));
    }
  }
}
