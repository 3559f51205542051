package io.singleflight;

import java.util.concurrent.Executor;
import java.util.concurrent.ThreadFactory;

/** The executor of an instance that was given none: a virtual thread per task. */
final class DefaultExecutor {

  private DefaultExecutor() {}

  static Executor named(String name) {
    ThreadFactory factory =
        Thread.ofVirtual().name(name + "-", 0).inheritInheritableThreadLocals(false).factory();
    return task -> factory.newThread(task).start();
  }
}
