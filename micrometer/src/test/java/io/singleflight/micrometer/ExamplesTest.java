package io.singleflight.micrometer;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.micrometer.observation.ObservationHandler.FirstMatchingCompositeObservationHandler;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.tracing.Tracer;
import io.micrometer.tracing.handler.DefaultTracingObservationHandler;
import io.singleflight.SingleFlight;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * The examples of docs/observability.md and of the Javadoc. What stands between {@code // example}
 * and {@code // end} is shown there word for word.
 */
class ExamplesTest {

  record Customer(String name, int orders) {}

  interface CustomerTable {
    Customer customerByName(String name) throws InterruptedException;
  }

  // example
  static final class CustomerService {

    private final SingleFlight<String, Customer> flights;
    private final CustomerTable table;

    CustomerService(CustomerTable table, MeterRegistry registry, ObservationRegistry observations) {
      FlightMeters meters = FlightMeters.of(registry, "customers");
      this.flights =
          meters.watch(
              ObservedSingleFlight.build(
                  "customers",
                  SingleFlight.<String, Customer>builder().listener(meters),
                  observations));
      this.table = table;
    }

    Customer customer(String name) throws InterruptedException {
      return flights.call(name, table::customerByName);
    }
  }

  // end

  private final MeterRegistry registry = new SimpleMeterRegistry();
  private final ObservationRegistry observations = ObservationRegistry.create();
  private final Tracer tracer = Tracer.NOOP;

  @Test
  void service_oneCall_isCounted() throws InterruptedException {
    CustomerService customers =
        new CustomerService(name -> new Customer(name, 1), registry, observations);
    assertThat(customers.customer("ada")).isEqualTo(new Customer("ada", 1));
    assertThat(registry.get("singleflight.calls").tag("role", "leader").counter().count())
        .isEqualTo(1);
  }

  @Test
  void meters_inAFewWords() throws InterruptedException {
    // example
    FlightMeters meters = FlightMeters.of(registry, "customers");
    SingleFlight<String, Customer> flights =
        meters.watch(
            SingleFlight.<String, Customer>builder().name("customers").listener(meters).build());
    // end
    assertThat(flights.call("ada", name -> new Customer(name, 1)).orders()).isEqualTo(1);
    assertThat(registry.get("singleflight.executions").tag("outcome", "value").timer().count())
        .isEqualTo(1);
  }

  @Test
  void observed_inAFewWords() throws InterruptedException {
    // example
    SingleFlight<String, Customer> flights =
        ObservedSingleFlight.build("customers", SingleFlight.builder(), observations);
    // end
    assertThat(flights.call("ada", name -> new Customer(name, 1)).orders()).isEqualTo(1);
  }

  @Test
  void tracing_inAFewWords() {
    // example
    observations
        .observationConfig()
        .observationHandler(
            new FirstMatchingCompositeObservationHandler(
                new FlightTracingObservationHandler(tracer),
                new DefaultTracingObservationHandler(tracer)));
    // end
    assertThat(observations.isNoop()).isFalse();
  }

  @Test
  void documentation_eachExample_standsHere() throws IOException {
    Set<String> compiled =
        blocks(
            "(?s) *// example\n(.*?)\n\\s*// end\n",
            Files.readString(
                Path.of("src/test/java/io/singleflight/micrometer/ExamplesTest.java")));
    List<String> shown =
        new ArrayList<>(
            blocks("(?s)```java\n(.*?)```", Files.readString(Path.of("../docs/observability.md"))));
    for (String type :
        List.of("FlightMeters", "ObservedSingleFlight", "FlightTracingObservationHandler")) {
      Path source = Path.of("src/main/java/io/singleflight/micrometer/" + type + ".java");
      Set<String> examples =
          blocks(
              "(?s)<pre>\\{@code\n(.*?)}</pre>",
              Files.readString(source).replaceAll("(?m)^ *\\* ?", ""));
      assertThat(examples).as(type).isNotEmpty();
      shown.addAll(examples);
    }
    assertThat(shown).hasSizeGreaterThan(3).isSubsetOf(compiled);
  }

  private static Set<String> blocks(String pattern, String text) {
    return Pattern.compile(pattern)
        .matcher(text)
        .results()
        .map(block -> block.group(1).stripIndent().strip())
        .collect(Collectors.toSet());
  }

  /** The table of the page is that of the registry. */
  @Test
  void documentation_tableOfMeters_namesThemAll() throws IOException {
    MeterRegistry all = new SimpleMeterRegistry();
    SingleFlight<String, String> flights =
        FlightMeters.of(all, "documented").watch(SingleFlight.create());
    assertThat(flights.inFlight()).isEmpty();
    Set<String> documented =
        blocks(
            "(?m)^\\| `(singleflight\\.(?!flight|follow)\\w+)`",
            Files.readString(Path.of("../docs/observability.md")));
    assertThat(
            all.getMeters().stream()
                .map(meter -> meter.getId().getName())
                .collect(Collectors.toSet()))
        .isEqualTo(documented);
  }
}
