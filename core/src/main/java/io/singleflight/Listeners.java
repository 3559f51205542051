package io.singleflight;

import io.singleflight.FlightListener.Departure;
import io.singleflight.FlightListener.Ending;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/** The listeners of an instance as one: what a listener throws is logged once and stops here. */
final class Listeners<K> implements FlightListener<K> {

  private record Guarded<K>(FlightListener<? super K> listener, AtomicBoolean logged) {}

  private final List<Guarded<K>> all;

  Listeners(List<FlightListener<? super K>> listeners) {
    all = listeners.stream().map(each -> new Guarded<K>(each, new AtomicBoolean())).toList();
  }

  boolean isEmpty() {
    return all.isEmpty();
  }

  @Override
  public void started(K key) {
    tell(listener -> listener.started(key));
  }

  @Override
  public void joined(K key, int callers) {
    tell(listener -> listener.joined(key, callers));
  }

  @Override
  public void left(K key, Departure departure) {
    tell(listener -> listener.left(key, departure));
  }

  @Override
  public void handedOff(K key, Throwable failure) {
    tell(listener -> listener.handedOff(key, failure));
  }

  @Override
  public void ended(K key, Ending ending, Duration duration, int callers) {
    tell(listener -> listener.ended(key, ending, duration, callers));
  }

  private void tell(Consumer<FlightListener<? super K>> event) {
    for (Guarded<K> each : all) {
      try {
        event.accept(each.listener());
      } catch (Throwable failure) {
        if (each.logged().compareAndSet(false, true)) {
          System.getLogger("io.singleflight")
              .log(System.Logger.Level.WARNING, "a flight listener failed, logged once", failure);
        }
      }
    }
  }
}
