package io.singleflight;

import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/** The listeners of an instance: what a listener throws is logged once and stops here. */
final class Listeners<K> {

  private record Guarded<K>(FlightListener<? super K> listener, AtomicBoolean logged) {}

  private final List<Guarded<K>> all;

  Listeners(List<FlightListener<? super K>> listeners) {
    all = listeners.stream().map(each -> new Guarded<K>(each, new AtomicBoolean())).toList();
  }

  boolean isEmpty() {
    return all.isEmpty();
  }

  void tell(Consumer<FlightListener<? super K>> event) {
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
