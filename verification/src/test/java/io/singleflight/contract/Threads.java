package io.singleflight.contract;

import java.util.List;

/**
 * Hides the contract suite's own, as tests come before what they depend on: Fray cannot control
 * virtual threads, so the suite runs as on a JVM that has none.
 */
public enum Threads {
  PLATFORM;

  public Thread start(Runnable task) {
    Thread thread = new Thread(task);
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  public static List<Threads> available() {
    return List.of(PLATFORM);
  }
}
