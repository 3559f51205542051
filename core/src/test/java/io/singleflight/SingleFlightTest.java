package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SingleFlightTest {

  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final SingleFlight<String, Integer> flights = SingleFlight.create();
  private final AtomicInteger executions = new AtomicInteger();

  @AfterEach
  void stopThreads() {
    threads.shutdownNow();
  }

  @Test
  void call_alone_returnsItsOwnValueAndLeavesNothing() throws Exception {
    assertThat(flights.call("a", key -> key.length())).isEqualTo(1);
    assertThat(flights.inFlight()).isEmpty();
  }

  @Test
  void call_fromFifteenHundredThreads_isOneExecution() throws Exception {
    CountDownLatch gate = new CountDownLatch(1);
    List<Future<Integer>> calls = new ArrayList<>();
    for (int i = 0; i < 1500; i++) {
      calls.add(
          threads.submit(() ->
              flights.call(
                  "a",
                  key -> {
                    gate.await();
                    return executions.incrementAndGet();
                  })));
    }
    await()
        .untilAsserted(() ->
            assertThat(flights.inFlight())
                .singleElement()
                .extracting(InFlight::callers)
                .isEqualTo(1500));
    gate.countDown();
    for (Future<Integer> call : calls) {
      assertThat(call.get()).isEqualTo(1);
    }
    assertThat(flights.inFlight()).isEmpty();
  }

  @Test
  void call_sameKeyInsideItsOwnWork_throwsAtOnce() {
    assertThatThrownBy(() -> flights.call("a", key -> flights.call("a", String::length)))
        .isInstanceOf(FlightDeadlockException.class)
        .hasMessageContaining("key a of singleflight");
    assertThat(flights.inFlight()).isEmpty();
  }

  @Test
  void call_crossingOverTwoInstances_throwsOnAtLeastOneSide() throws Exception {
    SingleFlight<String, Integer> others =
        SingleFlight.<String, Integer>builder().name("b").build();
    for (int round = 0; round < 1000; round++) {
      CountDownLatch both = new CountDownLatch(2);
      Future<Integer> ab =
          threads.submit(() ->
              flights.call(
                  "a",
                  a -> {
                    both.countDown();
                    both.await();
                    return others.call("b", String::length);
                  }));
      Future<Integer> ba =
          threads.submit(() ->
              others.call(
                  "b",
                  b -> {
                    both.countDown();
                    both.await();
                    return flights.call("a", String::length);
                  }));
      assertThatThrownBy(ab::get)
          .isInstanceOf(ExecutionException.class)
          .hasCauseInstanceOf(FlightDeadlockException.class);
      assertThatThrownBy(ba::get)
          .isInstanceOf(ExecutionException.class)
          .hasCauseInstanceOf(FlightDeadlockException.class);
    }
  }

  @Test
  void submit_cancelledByAll_interruptsTheWork() {
    CountDownLatch interrupted = new CountDownLatch(1);
    CountDownLatch begun = new CountDownLatch(1);
    CompletableFuture<Integer> future =
        flights.submit(
            "a",
            key -> {
              begun.countDown();
              try {
                new CountDownLatch(1).await();
              } catch (InterruptedException e) {
                interrupted.countDown();
              }
              return 1;
            });
    await().until(() -> begun.getCount() == 0);
    future.cancel(true);
    assertThat(flights.inFlight()).isEmpty();
    await().until(() -> interrupted.getCount() == 0);
  }

  @Test
  void call_leaderInterrupted_isPerformedByOneOfEightFollowers() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    Thread leader =
        new Thread(() -> {
          try {
            flights.call(
                "a",
                key -> {
                  begun.countDown();
                  new CountDownLatch(1).await();
                  return 0;
                });
          } catch (InterruptedException expected) {
            executions.addAndGet(100);
          }
        });
    leader.start();
    begun.await();
    List<Future<Integer>> followers = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      followers.add(threads.submit(() -> flights.call("a", key -> executions.incrementAndGet())));
    }
    await().until(() -> flights.inFlight().get(0).callers() == 9);
    leader.interrupt();
    leader.join();
    List<Integer> values = new ArrayList<>();
    for (Future<Integer> follower : followers) {
      values.add(follower.get());
    }
    assertThat(values).hasSize(8).containsOnly(values.get(0));
    assertThat(executions).hasValue(101);
  }
}
