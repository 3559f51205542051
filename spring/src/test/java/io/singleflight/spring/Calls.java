package io.singleflight.spring;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Callers on threads of their own. */
final class Calls implements AfterEachCallback {

  private final ExecutorService threads =
      Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task, "caller");
        thread.setDaemon(true);
        return thread;
      });

  <T> Future<T> start(Callable<T> call) {
    return threads.submit(call);
  }

  static <T> T get(Future<T> call) throws Exception {
    return call.get(1, TimeUnit.MINUTES);
  }

  @Override
  public void afterEach(ExtensionContext context) {
    threads.shutdownNow();
  }
}
