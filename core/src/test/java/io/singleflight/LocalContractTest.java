package io.singleflight;

import io.singleflight.contract.IsolationContract;
import io.singleflight.contract.LandingContract;
import io.singleflight.contract.SingleFlightFactory;
import java.util.function.Consumer;
import org.junit.jupiter.api.Nested;

/** Holds the implementation within a JVM to the contract. */
class LocalContractTest {

  interface Local extends SingleFlightFactory {
    @Override
    default <K, V> SingleFlight<K, V> create(Consumer<SingleFlight.Builder<K, V>> options) {
      SingleFlight.Builder<K, V> builder = SingleFlight.builder();
      options.accept(builder);
      return builder.build();
    }
  }

  @Nested
  class Landing extends LandingContract implements Local {}

  @Nested
  class Isolation extends IsolationContract implements Local {}
}
