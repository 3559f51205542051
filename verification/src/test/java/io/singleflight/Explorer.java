package io.singleflight;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Random;
import java.util.function.IntConsumer;
import kotlin.Unit;
import org.jspecify.annotations.Nullable;
import org.pastalab.fray.core.TestRunner;
import org.pastalab.fray.core.command.Configuration;
import org.pastalab.fray.core.command.ExecutionInfo;
import org.pastalab.fray.core.command.LambdaExecutor;
import org.pastalab.fray.core.command.NetworkDelegateType;
import org.pastalab.fray.core.command.SystemTimeDelegateType;
import org.pastalab.fray.core.observers.TimelineCoverageType;
import org.pastalab.fray.core.randomness.ControlledRandom;
import org.pastalab.fray.core.randomness.Randomness;
import org.pastalab.fray.core.scheduler.RandomScheduler;
import org.pastalab.fray.runtime.LivenessException;

/**
 * Plays something again and again, each time under the schedule that follows from a number, the
 * seed. Fray decides which thread takes each step that others may see, and ends a schedule in which
 * nobody can take another.
 */
final class Explorer {

  private final IntConsumer play;
  private final int maxSteps;
  private int next;
  private boolean ended = true;
  private @Nullable LivenessException cut;

  /** Plays, given the seed: all in which one time differs from another has to follow from it. */
  Explorer(int maxSteps, IntConsumer play) {
    this.maxSteps = maxSteps;
    this.play = play;
  }

  /**
   * Explores a number of schedules from a seed on, until one fails: of that returns the failure.
   */
  @Nullable Throwable explore(int first, int count) {
    next = first;
    LambdaExecutor playing =
        new LambdaExecutor(() -> {
          requireEnded();
          ended = false;
          try {
            play.accept(next++);
          } catch (LivenessException thrown) {
            cut = thrown;
            throw thrown;
          }
          ended = true;
          return Unit.INSTANCE;
        });
    Configuration configuration =
        new Configuration(
            new ExecutionInfo(
                playing,
                /* ignoreUnhandledExceptions= */ false,
                /* interleaveMemoryOps= */ true,
                maxSteps),
            Path.of("report"),
            count,
            /* timeout= */ Integer.MAX_VALUE,
            new RandomScheduler(random()),
            this::random,
            /* fullSchedule= */ false,
            /* exploreMode= */ false,
            /* noExitWhenBugFound= */ true,
            /* isReplay= */ false,
            /* noFray= */ false,
            /* dummyRun= */ false,
            NetworkDelegateType.NONE,
            SystemTimeDelegateType.NONE,
            /* virtualTimeDelta= */ 0L,
            /* ignoreTimedBlock= */ true,
            /* sleepAsYield= */ true,
            /* resetClassLoader= */ false,
            /* redirectStdout= */ false,
            /* abortThreadExecutionAfterMainExit= */ false,
            /* resolveRacingOperationStackTraceHash= */ false,
            TimelineCoverageType.NONE);
    Throwable found = new TestRunner(configuration).run();
    try {
      requireEnded();
    } catch (AssertionError failure) {
      return found == null ? failure : found;
    }
    return found;
  }

  /* Fray takes it for no failure if the steps are used up; and the next is the first to say so. */
  private void requireEnded() {
    if (!ended) {
      throw new AssertionError("not ended after " + maxSteps + " steps", cut);
    }
  }

  /** Returns whether the steps of this schedule are used up: nobody may take another. */
  static boolean isCut() {
    try {
      Thread.yield();
      return false;
    } catch (LivenessException cut) {
      return true;
    }
  }

  /** Returns the seed of the schedule that was played last. */
  int last() {
    return next - 1;
  }

  private Randomness random() {
    return new ControlledRandom(new ArrayList<>(), new ArrayList<>(), new Random(next));
  }
}
