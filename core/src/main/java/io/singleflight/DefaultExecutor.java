package io.singleflight;

import java.util.concurrent.Executor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/** The executor of an instance that was given none: daemon threads that end when idle. */
final class DefaultExecutor {

  private DefaultExecutor() {}

  static Executor named(String name) {
    AtomicLong number = new AtomicLong();
    return new ThreadPoolExecutor(
        0,
        Integer.MAX_VALUE,
        1,
        TimeUnit.SECONDS,
        new SynchronousQueue<>(),
        task -> {
          Thread thread = new Thread(null, task, name + "-" + number.getAndIncrement(), 0, false);
          thread.setDaemon(true);
          thread.setContextClassLoader(ClassLoader.getSystemClassLoader());
          return thread;
        });
  }
}
