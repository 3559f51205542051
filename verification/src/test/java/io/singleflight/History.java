package io.singleflight;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * What happened under load, in the order of one counter.
 *
 * <p>A begin is counted before the call is made and a return after it has returned, so a call is
 * recorded as no shorter than it was. An execution's begin and end are counted inside the work, so
 * an execution is recorded as no longer than it was. A rule of {@link Checker} that is broken by
 * what was recorded is therefore broken by what happened.
 */
final class History {

  enum Kind {
    CALL,
    TIMED_CALL,
    SUBMIT,
    CALL_ASYNC,
    CALL_ALL
  }

  private final AtomicLong clock = new AtomicLong();
  final AtomicInteger openExecutions = new AtomicInteger();

  long tick() {
    return clock.incrementAndGet();
  }

  /** Grows with every event; a load that hangs is one where it does not. */
  long now() {
    return clock.get();
  }

  /** One call for one key; a batch is one of these for each of its keys. */
  static final class Call {
    final Kind kind;
    final int key;

    /** Whether this call's thread may be interrupted from outside. */
    final boolean interruptible;

    final long begun;
    long returned;

    /** What the caller got: the execution whose value or failure it was, or null for neither. */
    @Nullable Execution outcome;

    @Nullable Throwable failure;

    /** Whether the listener was told that this call joined a flight, instead of registering one. */
    volatile boolean joined;

    // written by whoever performs this call's work
    volatile @Nullable Execution execution;
    final AtomicInteger executions = new AtomicInteger();

    Call(Kind kind, int key, boolean interruptible, long begun) {
      this.kind = kind;
      this.key = key;
      this.interruptible = interruptible;
      this.begun = begun;
    }

    @Override
    public String toString() {
      return kind + "(" + key + ") [" + begun + ", " + returned + "]";
    }
  }

  /** One execution of a call's work; it is its own value. */
  static final class Execution {
    final Call owner;
    final long begun;
    volatile long ended;
    volatile @Nullable Throwable failure;

    /** Whether the flight may have been handed off for it. */
    volatile boolean mayHandOff;

    Execution(Call owner, long begun) {
      this.owner = owner;
      this.begun = begun;
    }

    @Override
    public String toString() {
      return "execution [" + begun + ", " + ended + "] of " + owner;
    }
  }

  /** A failure that tells which execution it comes from, or which ones if it is a batch's. */
  static final class Failure extends Exception {
    private static final long serialVersionUID = 1;
    final transient List<Execution> executions;

    /** Whether it is the leader's own, so that the flight is handed off. */
    final boolean own;

    Failure(List<Execution> executions, boolean own) {
      super(null, null, false, false);
      this.executions = executions;
      this.own = own;
    }
  }

  /** The leader's interruption, telling which executions it ended. */
  static final class Interruption extends InterruptedException {
    private static final long serialVersionUID = 1;
    final transient List<Execution> executions;

    Interruption(List<Execution> executions) {
      this.executions = executions;
    }
  }

  record Forget(int key, long begun, long returned) {}

  /** What one thread did; merged when all is quiet. */
  static final class Log {
    final List<Call> calls = new ArrayList<>();
    final List<Forget> forgets = new ArrayList<>();
  }

  /** Counts the begin of a call's work. */
  Execution executionBegins(Call owner) {
    openExecutions.incrementAndGet();
    owner.executions.incrementAndGet();
    Execution execution = new Execution(owner, tick());
    owner.execution = execution;
    return execution;
  }

  void executionEnds(Execution execution, @Nullable Throwable failure) {
    execution.failure = failure;
    execution.mayHandOff =
        failure != null
            && (execution.owner.interruptible
                || failure instanceof InterruptedException
                || (failure instanceof Failure own && own.own));
    execution.ended = tick();
    openExecutions.decrementAndGet();
  }
}
