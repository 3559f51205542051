package io.singleflight.spring;

import static org.awaitility.Awaitility.await;

import io.singleflight.InFlight;
import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/** What a method does in these tests: it is counted, and held until it may go on. */
final class Held {

  /* A watchdog, for machines that have much else to do: a herd takes its time to arrive. */
  private static final Duration LONG = Duration.ofMinutes(2);

  final AtomicInteger begun = new AtomicInteger();
  final AtomicInteger interrupted = new AtomicInteger();
  final Queue<String> seen = new ConcurrentLinkedQueue<>();
  private volatile CountDownLatch open = new CountDownLatch(1);

  <T> T perform(T result) throws InterruptedException {
    begun.incrementAndGet();
    try {
      open.await();
    } catch (InterruptedException e) {
      interrupted.incrementAndGet();
      throw e;
    }
    return result;
  }

  void open() {
    open.countDown();
  }

  void close() {
    open = new CountDownLatch(1);
  }

  void awaitBegun(int invocations) {
    await().atMost(LONG).untilAtomic(begun, org.hamcrest.Matchers.equalTo(invocations));
  }

  /** Waits until so many callers are aboard the flights of an instance. */
  static void awaitCallers(SingleFlights instances, String name, int callers) {
    await().atMost(LONG).until(() -> callers(instances, name) == callers);
  }

  static int callers(SingleFlights instances, String name) {
    return instances.get(name).inFlight().stream().mapToInt(InFlight::callers).sum();
  }
}
