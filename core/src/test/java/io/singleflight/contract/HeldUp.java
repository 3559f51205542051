package io.singleflight.contract;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;

/** Where user code is held up: the first thread that passes, once it is armed. */
final class HeldUp {

  private final AtomicBoolean armed = new AtomicBoolean();
  private final CountDownLatch held = new CountDownLatch(1);
  private final CountDownLatch released = new CountDownLatch(1);

  void arm() {
    armed.set(true);
  }

  void awaitHeld() throws InterruptedException {
    Contract.await(held, "user code to be called");
  }

  void release() {
    armed.set(false);
    released.countDown();
  }

  void pass() {
    if (armed.compareAndSet(true, false)) {
      held.countDown();
      boolean interrupted = false;
      while (released.getCount() > 0) {
        try {
          released.await();
        } catch (InterruptedException kept) {
          interrupted = true;
        }
      }
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
