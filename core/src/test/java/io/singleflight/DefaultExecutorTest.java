package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URL;
import java.net.URLClassLoader;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Where works run if no executor is given: on virtual threads where the JVM has them. The classes
 * for such a JVM stand in the jar alone, so this asks for them only where the tests run on that.
 */
@Timeout(60)
class DefaultExecutorTest {

  private static final boolean ON_THE_JAR =
      "jar".equals(SingleFlight.class.getResource("SingleFlight.class").getProtocol());

  private static final boolean VIRTUAL = ON_THE_JAR && Runtime.version().feature() >= 21;

  private final SingleFlight<String, Thread> flights = SingleFlight.create();
  private final ExecutorService threads = Executors.newSingleThreadExecutor();

  @AfterEach
  void stopThreads() {
    threads.shutdownNow();
  }

  private static boolean isVirtual(Thread thread) throws ReflectiveOperationException {
    return Runtime.version().feature() >= 21
        && (boolean) Thread.class.getMethod("isVirtual").invoke(thread);
  }

  private static Thread here(String key) {
    return Thread.currentThread();
  }

  @Test
  void submitAndTimedCall_noExecutorGiven_runOnVirtualThreadsWhereTheJvmHasThem() throws Exception {
    Set<Thread> seen = new HashSet<>();
    for (int i = 0; i < 10; i++) {
      seen.add(flights.submit("a", DefaultExecutorTest::here).get());
      seen.add(flights.call("a", Duration.ofMinutes(1), DefaultExecutorTest::here));
    }
    for (Thread thread : seen) {
      assertThat(isVirtual(thread)).isEqualTo(VIRTUAL);
      assertThat(thread.isDaemon()).isTrue();
      assertThat(thread.getName()).startsWith("singleflight-");
    }
    if (VIRTUAL) {
      assertThat(seen).as("one for each flight").hasSize(20);
    }
  }

  @Test
  void heir_noExecutorGiven_runsOnAVirtualThreadWhereTheJvmHasThem() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch end = new CountDownLatch(1);
    Future<Thread> leader =
        threads.submit(() ->
            flights.call(
                "a",
                key -> {
                  begun.countDown();
                  end.await();
                  throw new InterruptedException("the leader's own");
                }));
    begun.await();
    CompletableFuture<Thread> heir =
        flights.callAsync("a", key -> CompletableFuture.completedFuture(here(key)));
    end.countDown();
    assertThat(isVirtual(heir.get())).isEqualTo(VIRTUAL);
    assertThat(leader).failsWithin(Duration.ofSeconds(20));
  }

  /** A pool's thread would keep the class loader of whichever caller it was started for. */
  @Test
  void submit_noExecutorGiven_doesNotInheritTheContextClassLoader() throws Exception {
    Thread caller = Thread.currentThread();
    ClassLoader own = caller.getContextClassLoader();
    try (URLClassLoader callers = new URLClassLoader(new URL[0], own)) {
      caller.setContextClassLoader(callers);
      SingleFlight<String, ClassLoader> loaders = SingleFlight.create();
      assertThat(loaders.submit("a", key -> Thread.currentThread().getContextClassLoader()).get())
          .isSameAs(ClassLoader.getSystemClassLoader());
    } finally {
      caller.setContextClassLoader(own);
    }
  }
}
