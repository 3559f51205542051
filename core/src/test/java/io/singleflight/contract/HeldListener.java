package io.singleflight.contract;

import io.singleflight.FlightListener;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;

/** A listener that is held up in one callback: the first of a kind for a key, once it is armed. */
final class HeldListener implements FlightListener<Object> {

  /** The callbacks. */
  enum Event {
    STARTED,
    JOINED,
    LEFT,
    HANDED_OFF,
    ENDED
  }

  private final AtomicReference<Event> armed = new AtomicReference<>();
  private final HeldUp heldUp = new HeldUp();

  void holdUpNext(Event event) {
    heldUp.arm();
    armed.set(event);
  }

  void awaitHeld() throws InterruptedException {
    heldUp.awaitHeld();
  }

  void release() {
    armed.set(null);
    heldUp.release();
  }

  private void tell(Event event, Object key) {
    if (key.equals(Contract.KEY) && armed.compareAndSet(event, null)) {
      heldUp.pass();
    }
  }

  @Override
  public void started(Object key) {
    tell(Event.STARTED, key);
  }

  @Override
  public void joined(Object key, int callers) {
    tell(Event.JOINED, key);
  }

  @Override
  public void left(Object key, Departure departure) {
    tell(Event.LEFT, key);
  }

  @Override
  public void handedOff(Object key, Throwable failure) {
    tell(Event.HANDED_OFF, key);
  }

  @Override
  public void ended(Object key, Ending ending, Duration duration, int callers) {
    tell(Event.ENDED, key);
  }
}
