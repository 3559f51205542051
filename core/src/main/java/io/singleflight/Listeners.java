package io.singleflight;

import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/** The listeners of an instance: what a listener throws is logged once and stops here. */
final class Listeners<K> {

  private record Guarded<K>(FlightListener<? super K> listener, AtomicBoolean logged) {}

  private final String instance;
  private final List<Guarded<K>> all;

  Listeners(String instance, List<FlightListener<? super K>> listeners) {
    this.instance = instance;
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
          log(each.listener().getClass(), failure);
        }
      }
    }
  }

  private void log(Class<?> listener, Throwable failure) {
    try {
      System.getLogger("io.singleflight")
          .log(
              System.Logger.Level.WARNING,
              "the listener %s of %s failed; this is logged once"
                  .formatted(listener.getName(), instance),
              failure);
    } catch (Throwable unheard) {
      // A logger that fails changes nothing either.
    }
  }
}
