package io.singleflight.examples.customers;

import java.io.IOException;
import java.io.PrintWriter;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/**
 * Tells how far a task has come: by a bar where the standard error is a terminal; elsewhere, where
 * a bar would leave a heap of control characters, by a line for each stage.
 */
final class Progress implements AutoCloseable {
  private static final boolean ON_TERMINAL = isTerminal();

  private final String task;
  private final PrintWriter err;
  private final @Nullable ProgressBar bar;

  /**
   * @param max how many steps there are
   * @param err what writes to the standard error
   */
  Progress(String task, long max, PrintWriter err) {
    this.task = task;
    this.err = err;
    this.bar =
        ON_TERMINAL
            ? new ProgressBarBuilder()
                .setTaskName(task)
                .setInitialMax(max)
                .setStyle(ProgressBarStyle.ASCII)
                .clearDisplayOnFinish()
                .build()
            : null;
  }

  void stage(String stage) {
    if (bar != null) {
      bar.setExtraMessage(" " + stage).refresh();
    } else {
      err.println(task + ": " + stage);
      err.flush();
    }
  }

  void step() {
    if (bar != null) {
      bar.step();
    }
  }

  void stepTo(long steps) {
    if (bar != null) {
      bar.stepTo(steps);
    }
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }

  /* Java 17 knows only whether the standard input and output both are; this asks as a shell does. */
  private static boolean isTerminal() {
    try {
      return new ProcessBuilder("test", "-t", "2").inheritIO().start().waitFor() == 0;
    } catch (IOException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }
}
