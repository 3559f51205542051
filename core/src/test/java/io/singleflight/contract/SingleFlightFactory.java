package io.singleflight.contract;

import io.singleflight.SingleFlight;
import java.util.function.Consumer;

/** All that an implementation supplies to be held to the contract. */
public interface SingleFlightFactory {

  /**
   * Creates an instance with the options that the consumer sets. One that is {@link AutoCloseable}
   * is closed after the test.
   */
  <K, V> SingleFlight<K, V> create(Consumer<SingleFlight.Builder<K, V>> options);
}
