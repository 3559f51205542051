package io.singleflight.micrometer;

import io.micrometer.core.instrument.observation.DefaultMeterObservationHandler;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.micrometer.observation.ObservationRegistry;
import io.singleflight.SingleFlight;
import io.singleflight.contract.CallAllContract;
import io.singleflight.contract.DeadlockContract;
import io.singleflight.contract.FailureContract;
import io.singleflight.contract.FenceContract;
import io.singleflight.contract.IsolationContract;
import io.singleflight.contract.LandingContract;
import io.singleflight.contract.LeftoversContract;
import io.singleflight.contract.ListenerContract;
import io.singleflight.contract.LockContract;
import io.singleflight.contract.NextContract;
import io.singleflight.contract.OptionsContract;
import io.singleflight.contract.SingleFlightFactory;
import io.singleflight.contract.WakingContract;
import java.util.function.Consumer;
import org.junit.jupiter.api.Nested;

/** Being observed changes nothing of what is promised. */
class ObservedContractTest {

  interface Observed extends SingleFlightFactory {
    @Override
    default <K, V> SingleFlight<K, V> create(Consumer<SingleFlight.Builder<K, V>> options) {
      ObservationRegistry observations = ObservationRegistry.create();
      observations
          .observationConfig()
          .observationHandler(new DefaultMeterObservationHandler(new SimpleMeterRegistry()));
      SingleFlight.Builder<K, V> builder = SingleFlight.builder();
      options.accept(builder);
      return ObservedSingleFlight.tagged("tested", builder, observations);
    }
  }

  @Nested
  class Landing extends LandingContract implements Observed {}

  @Nested
  class Isolation extends IsolationContract implements Observed {}

  @Nested
  class Failure extends FailureContract implements Observed {}

  @Nested
  class Deadlock extends DeadlockContract implements Observed {}

  @Nested
  class Lock extends LockContract implements Observed {}

  @Nested
  class Waking extends WakingContract implements Observed {}

  @Nested
  class Leftovers extends LeftoversContract implements Observed {}

  @Nested
  class Fence extends FenceContract implements Observed {}

  @Nested
  class Next extends NextContract implements Observed {}

  @Nested
  class CallAll extends CallAllContract implements Observed {}

  @Nested
  class Options extends OptionsContract implements Observed {}

  @Nested
  class Listener extends ListenerContract implements Observed {}
}
