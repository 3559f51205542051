package io.singleflight;

import static java.util.Objects.requireNonNull;

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

  /** Hands the calling thread's own work to the executor. */
  <K, V extends @Nullable Object> void start(Seat<K, V> seat) {
    execute(
        () -> requireNonNull(seat.takeOver).accept(seat),
        refusal -> seat.line().instance().refused(seat, refusal));
  }

  /**
   * Has another caller perform its work: wakes its thread, or hands the work to the executor. That
   * may run it inline or wait for room, so it is never called on this thread, which has its own to
   * go on with; nor in its context.
   */
  <K, V extends @Nullable Object> void appoint(@Nullable Seat<K, V> seat) {
    if (seat == null) {
      return;
    }
    if (seat.takeOver == null) {
      seat.wake();
    } else if (custom == null) {
      start(seat);
    } else {
      try {
        standard.execute(() -> start(seat));
      } catch (Throwable noThread) {
        seat.line().instance().refused(seat, noThread);
      }
    }
  }

  /** Completes the futures of followers, each in a task of its own; the caller pays for one. */
  <V extends @Nullable Object> void deliver(Flight<?, V> flight, Outcome<V> outcome) {
    Runnable all =
        () -> {
          List<CallFuture<V>> futures = flight.followersFutures();
          for (CallFuture<V> other : futures.subList(1, futures.size())) {
            execute(() -> other.deliver(outcome), refusal -> other.deliver(outcome));
          }
          futures.get(0).deliver(outcome);
        };
    if (flight.hasFollowersFutures()) {
      execute(all, refusal -> all.run());
    }
  }

  private void takeUpDropped(AtomicBoolean taken, Consumer<Throwable> orElse) {
    if (taken.compareAndSet(false, true)) {
      Runnable tell =
          () -> orElse.accept(new RejectedExecutionException("the executor dropped the task"));
      try {
        standard.execute(tell);
      } catch (Throwable noThread) {
        tell.run();
      }
    }
  }
}
