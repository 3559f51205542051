package io.singleflight.reactor;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.SingleFlight;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.util.context.Context;

/**
 * The examples of docs/reactor.md and of the Javadoc. What stands between {@code // example} and
 * {@code // end} is shown there word for word.
 */
class ExamplesTest {

  record Customer(String name, int orders) {}

  interface CustomerClient {
    Mono<Customer> customerByName(String name);
  }

  // example
  static final class CustomerService {

    private final MonoFlights<String, Customer> flights =
        MonoFlights.over(
            SingleFlight.<String, Customer>builder()
                .name("customers")
                .maxJoinAge(Duration.ofSeconds(5))
                .build());

    private final CustomerClient client;

    CustomerService(CustomerClient client) {
      this.client = client;
    }

    Mono<Customer> customer(String name) {
      return flights.call(name, client::customerByName);
    }
  }

  // end

  private final AtomicInteger queries = new AtomicInteger();
  private final CustomerClient client =
      name ->
          Mono.fromCallable(() -> new Customer(name, queries.incrementAndGet()))
              .delayElement(Duration.ofMillis(20));

  @Test
  void service_aHerd_isOneQuery() {
    CustomerService customers = new CustomerService(client);
    assertThat(
            Flux.range(0, 100)
                .flatMap(i -> customers.customer("ada"), 100)
                .collectList()
                .block(Duration.ofSeconds(20)))
        .hasSize(100)
        .containsOnly(new Customer("ada", 1));
  }

  @Test
  void call_inAFewWords() {
    // example
    MonoFlights<String, Customer> flights = MonoFlights.over(SingleFlight.create());

    Mono<Customer> customer = flights.call("ada", name -> client.customerByName(name));
    // end
    assertThat(queries).hasValue(0);
    assertThat(customer.block(Duration.ofSeconds(20))).isEqualTo(new Customer("ada", 1));
  }

  @Test
  void call_withATimeout() {
    MonoFlights<String, Customer> flights = MonoFlights.over(SingleFlight.create());
    // example
    Mono<Customer> customer =
        flights
            .call("ada", client::customerByName)
            .timeout(Duration.ofMillis(50)) // who runs out of time leaves, the query goes on
            .publishOn(Schedulers.parallel());
    // end
    assertThat(customer.onErrorReturn(new Customer("too late", 0)).block(Duration.ofSeconds(20)))
        .isNotNull();
  }

  @Test
  void call_besideBlockingCallers() throws Exception {
    // example
    SingleFlight<String, Customer> shared = SingleFlight.create();
    MonoFlights<String, Customer> flights = MonoFlights.over(shared);

    Mono<Customer> reactive = flights.call("ada", client::customerByName);
    Customer blocking = shared.call("ada", name -> client.customerByName(name).block());
    // end
    assertThat(blocking).isEqualTo(new Customer("ada", 1));
    assertThat(reactive.block(Duration.ofSeconds(20))).isEqualTo(new Customer("ada", 2));
  }

  @Test
  void call_withATenant() {
    // example
    record Tenanted(String tenant, String name) {}

    MonoFlights<Tenanted, Customer> flights = MonoFlights.over(SingleFlight.create());

    Mono<Customer> customer =
        Mono.deferContextual(context ->
            flights.call(
                new Tenanted(context.get("tenant"), "ada"),
                key -> client.customerByName(key.name())));
    // end
    assertThat(customer.contextWrite(Context.of("tenant", "blue")).block(Duration.ofSeconds(20)))
        .isNotNull();
  }

  @Test
  void documentation_eachExample_standsHere() throws IOException {
    String here =
        Files.readString(Path.of("src/test/java/io/singleflight/reactor/ExamplesTest.java"));
    Set<String> compiled =
        Pattern.compile("(?s) *// example\n(.*?)\n\\s*// end\n")
            .matcher(here)
            .results()
            .map(region -> region.group(1).stripIndent().strip())
            .collect(Collectors.toSet());
    String page = Files.readString(Path.of("../docs/reactor.md"));
    String javadoc =
        Files.readString(Path.of("src/main/java/io/singleflight/reactor/MonoFlights.java"))
            .replaceAll("(?m)^ *\\* ?", "");
    for (List<String> source :
        List.of(
            List.of(page, "(?s)```java\n(.*?)```"),
            List.of(javadoc, "(?s)<pre>\\{@code\n(.*?)}</pre>"))) {
      List<String> shown =
          Pattern.compile(source.get(1))
              .matcher(source.get(0))
              .results()
              .map(block -> block.group(1).strip())
              .toList();
      assertThat(shown).isNotEmpty().isSubsetOf(compiled);
    }
  }
}
