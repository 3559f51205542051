package io.singleflight.spring;

import io.micrometer.core.instrument.MeterRegistry;
import io.singleflight.SingleFlight;
import io.singleflight.micrometer.FlightMeters;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ObjectProvider;

/** The meters of each instance, if the application has a registry: the only or the primary one. */
final class InstanceMeters implements SingleFlightCustomizer {

  private final ObjectProvider<MeterRegistry> registry;
  private final Map<String, FlightMeters> meters = new ConcurrentHashMap<>();

  InstanceMeters(ObjectProvider<MeterRegistry> registry) {
    this.registry = registry;
  }

  @Override
  public void customize(String name, SingleFlight.Builder<Object, @Nullable Object> builder) {
    registry.ifUnique(available -> {
      FlightMeters ofInstance = FlightMeters.of(available, name);
      meters.put(name, ofInstance);
      builder.listener(ofInstance);
    });
  }

  @Override
  public void built(String name, SingleFlight<Object, @Nullable Object> instance) {
    FlightMeters ofInstance = meters.remove(name);
    if (ofInstance != null) {
      ofInstance.watch(instance);
    }
  }
}
