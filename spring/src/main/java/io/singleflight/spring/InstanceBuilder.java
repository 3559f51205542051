package io.singleflight.spring;

import io.singleflight.SingleFlight;
import org.jspecify.annotations.Nullable;

/** Builds an instance of its options, as one that is observed. */
@FunctionalInterface
interface InstanceBuilder {

  SingleFlight<Object, @Nullable Object> build(
      String name, SingleFlight.Builder<Object, @Nullable Object> options);
}
