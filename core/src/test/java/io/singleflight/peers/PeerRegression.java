package io.singleflight.peers;

import io.singleflight.SingleFlight;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;

/** What the regression tests share: an instance, and works that wait at a gate. */
abstract class PeerRegression {

  final SingleFlight<String, Integer> flights = SingleFlight.create();
  final AtomicInteger executions = new AtomicInteger();
  final CountDownLatch begun = new CountDownLatch(1);
  final CountDownLatch gate = new CountDownLatch(1);

  @AfterEach
  void openTheGate() {
    gate.countDown();
  }

  /** A work that waits at the gate and returns the number of the execution. */
  Integer gated() throws InterruptedException {
    int number = executions.incrementAndGet();
    begun.countDown();
    gate.await();
    return number;
  }

  /** As {@link #gated}, but interrupts don't end it. */
  Integer stuck() {
    int number = executions.incrementAndGet();
    begun.countDown();
    boolean interrupted = false;
    while (true) {
      try {
        gate.await();
        break;
      } catch (InterruptedException notYet) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return number;
  }

  /** A work that waits at the gate and fails. */
  Integer failing(Throwable failure) throws InterruptedException {
    gated();
    throw PeerRegression.<RuntimeException>sneaky(failure);
  }

  @SuppressWarnings("unchecked")
  private static <X extends Throwable> RuntimeException sneaky(Throwable failure) throws X {
    throw (X) failure;
  }

  Integer count() {
    return executions.incrementAndGet();
  }
}
