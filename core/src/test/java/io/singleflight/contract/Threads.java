package io.singleflight.contract;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.List;

/** The kinds of threads that callers call from. */
public enum Threads {
  PLATFORM {
    @Override
    public Thread start(Runnable task) {
      Thread thread = new Thread(task);
      thread.setDaemon(true);
      thread.start();
      return thread;
    }
  },
  VIRTUAL {
    @Override
    public Thread start(Runnable task) {
      try {
        return (Thread) START_VIRTUAL.invokeExact(task);
      } catch (Throwable failure) {
        throw new AssertionError(failure);
      }
    }
  };

  private static final MethodHandle START_VIRTUAL = virtual();

  /** Starts a task on a new thread. */
  public abstract Thread start(Runnable task);

  /** Those that the running JVM has. */
  public static List<Threads> available() {
    return START_VIRTUAL == null ? List.of(PLATFORM) : List.of(PLATFORM, VIRTUAL);
  }

  private static MethodHandle virtual() {
    if (Runtime.version().feature() < 21) {
      return null;
    }
    try {
      return MethodHandles.publicLookup()
          .findStatic(
              Thread.class,
              "startVirtualThread",
              MethodType.methodType(Thread.class, Runnable.class));
    } catch (ReflectiveOperationException missing) {
      throw new AssertionError(missing);
    }
  }
}
