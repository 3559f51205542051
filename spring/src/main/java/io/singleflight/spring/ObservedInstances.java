package io.singleflight.spring;

import io.micrometer.observation.ObservationRegistry;
import io.singleflight.SingleFlight;
import io.singleflight.micrometer.ObservedSingleFlight;
import org.jspecify.annotations.Nullable;

/** Builds instances that are observed. */
record ObservedInstances(ObservationRegistry registry) implements InstanceBuilder {

  @Override
  public SingleFlight<Object, @Nullable Object> build(
      String name, SingleFlight.Builder<Object, @Nullable Object> options) {
    return ObservedSingleFlight.build(name, options, registry);
  }
}
