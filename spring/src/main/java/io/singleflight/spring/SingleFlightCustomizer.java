package io.singleflight.spring;

import io.singleflight.SingleFlight;
import org.jspecify.annotations.Nullable;

/**
 * Sets options of instances in code, after their properties. Each bean of this type is asked for
 * every instance of {@link SingleFlights}, in the beans' order.
 *
 * <pre>{@code
 * @Bean
 * SingleFlightCustomizer counting(FlightStats stats) {
 *   return (name, builder) -> builder.listener(stats);
 * }
 * }</pre>
 */
@FunctionalInterface
public interface SingleFlightCustomizer {

  /**
   * Sets options of an instance that is about to be built.
   *
   * @param name the name of the instance
   * @param builder its builder
   */
  void customize(String name, SingleFlight.Builder<Object, @Nullable Object> builder);

  /**
   * Tells that an instance has been built. Default: does nothing.
   *
   * @param name the name of the instance
   * @param instance the instance
   */
  default void built(String name, SingleFlight<Object, @Nullable Object> instance) {}
}
