package io.singleflight.spring;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.singleflight.SingleFlight;
import org.junit.jupiter.api.Test;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;

/** The meters of {@code singleflight-micrometer} are there without a word of configuration. */
class MetersTest {

  private final ApplicationContextRunner runner =
      new ApplicationContextRunner()
          .withConfiguration(AutoConfigurations.of(SingleFlightAutoConfiguration.class));

  @Test
  void application_withARegistry_metersEachInstance() {
    runner
        .withBean(MeterRegistry.class, SimpleMeterRegistry::new)
        .run(context -> {
          SingleFlights instances = context.getBean(SingleFlights.class);
          MeterRegistry registry = context.getBean(MeterRegistry.class);
          SingleFlight<String, Double> customers = instances.get("customers");
          double inFlight =
              customers.call(
                  "a",
                  key ->
                      registry
                          .get("singleflight.inflight")
                          .tag("name", "customers")
                          .gauge()
                          .value());
          assertThat(inFlight).isEqualTo(1);
          assertThat(
                  registry
                      .get("singleflight.executions")
                      .tags("name", "customers", "outcome", "value")
                      .timer()
                      .count())
              .isEqualTo(1);
          instances.<String, String>get("orders").call("b", key -> "value");
          assertThat(registry.get("singleflight.calls").tag("name", "orders").counters())
              .isNotEmpty();
        });
  }

  @Test
  void application_withSeveralRegistries_starts() {
    runner
        .withBean("one", MeterRegistry.class, SimpleMeterRegistry::new)
        .withBean("two", MeterRegistry.class, SimpleMeterRegistry::new)
        .withPropertyValues("singleflight.instances.customers.max-followers=1")
        .run(context -> assertThat(context).hasNotFailed());
  }

  @Test
  void application_withoutARegistry_shares() {
    runner.run(context ->
        assertThat(
                context
                    .getBean(SingleFlights.class)
                    .<String, String>get("customers")
                    .call("a", key -> "value"))
            .isEqualTo("value"));
  }
}
