package io.singleflight.benchmarks;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/** What a caller runs on. */
enum ThreadKind {
  PLATFORM {
    @Override
    Thread start(Runnable task) {
      Thread thread = new Thread(task);
      thread.setDaemon(true);
      thread.start();
      return thread;
    }
  },

  /** To be had on JDK 21 and newer, for which this code is not compiled. */
  VIRTUAL {
    @Override
    Thread start(Runnable task) {
      try {
        return (Thread) START_VIRTUAL.invokeExact(task);
      } catch (Throwable failure) {
        throw new IllegalStateException("no virtual thread started", failure);
      }
    }
  };

  private static final MethodHandle START_VIRTUAL = startVirtual();

  abstract Thread start(Runnable task);

  boolean exists() {
    return this == PLATFORM || START_VIRTUAL != null;
  }

  private static MethodHandle startVirtual() {
    try {
      return MethodHandles.publicLookup()
          .findStatic(
              Thread.class,
              "startVirtualThread",
              MethodType.methodType(Thread.class, Runnable.class));
    } catch (NoSuchMethodException | IllegalAccessException olderJvm) {
      return null;
    }
  }
}
