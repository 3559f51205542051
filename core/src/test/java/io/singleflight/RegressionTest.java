package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.lang.reflect.Field;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Defects that were found by review, each with the interleaving that showed it. */
@Timeout(60)
class RegressionTest {

  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final CountDownLatch gate = new CountDownLatch(1);
  private final AtomicInteger executions = new AtomicInteger();

  @AfterEach
  void stopThreads() {
    gate.countDown();
    threads.shutdownNow();
  }

  private Integer untilGate(String key) throws InterruptedException {
    gate.await();
    return executions.incrementAndGet();
  }

  @Test
  void insert_equalHashCodesAmongDenseOnes_doesNotGrowTheTable() throws Exception {
    FlightTable<Integer, Integer> table = new FlightTable<>();
    for (int i = 0; i < 1000; i++) {
      table.insert(new Flight<>(i, i % 100, "table", 0, null, null));
    }
    assertThat(slotsOf(table)).isEqualTo(1024);
  }

  private static int slotsOf(FlightTable<?, ?> table) throws ReflectiveOperationException {
    Field slots = FlightTable.class.getDeclaredField("slots");
    slots.setAccessible(true);
    Field array = slots.get(table).getClass().getDeclaredField("array");
    array.setAccessible(true);
    return ((Object[]) array.get(slots.get(table))).length;
  }

  @Test
  void land_executorRunsTheNextWorkInline_wakesItsOwnFollowersFirst() throws Exception {
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch landing = new CountDownLatch(1);
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder()
            .freshness(Freshness.NEXT)
            .executor(Runnable::run)
            .build();
    // The first flight waits for its turn behind a blocking one, so that it can have followers.
    Future<Integer> first =
        threads.submit(() ->
            flights.call(
                "a",
                key -> {
                  running.countDown();
                  landing.await();
                  return 0;
                }));
    running.await();
    CountDownLatch secondBegun = new CountDownLatch(1);
    CountDownLatch secondMayEnd = new CountDownLatch(1);
    AtomicReference<Thread> second = new AtomicReference<>();
    List<Future<Integer>> waiting =
        List.of(
            threads.submit(() -> flights.call("a", key -> lead(secondBegun, secondMayEnd))),
            threads.submit(() -> flights.call("a", key -> lead(secondBegun, secondMayEnd))));
    await().until(() -> flights.inFlight().stream().mapToInt(InFlight::callers).sum() == 3);
    landing.countDown();
    first.get();
    secondBegun.await();
    CompletableFuture<Void> submitted =
        CompletableFuture.runAsync(
            () -> {
              second.set(Thread.currentThread());
              flights.submit("a", this::untilGate);
            },
            threads);
    submitted.get();
    secondMayEnd.countDown();
    // The landing thread is busy with the third work; the other caller of the second has its value.
    await().until(() -> waiting.stream().anyMatch(Future::isDone));
    assertThat(executions).hasValue(0);
  }

  private static Integer lead(CountDownLatch begun, CountDownLatch mayEnd)
      throws InterruptedException {
    begun.countDown();
    mayEnd.await();
    return 1;
  }
}
