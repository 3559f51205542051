package io.singleflight.spring.examples;

import io.singleflight.FlightStats;
import io.singleflight.SingleFlight;
import io.singleflight.spring.CallerIdentity;
import io.singleflight.spring.SharedCall;
import io.singleflight.spring.SingleFlightCustomizer;
import io.singleflight.spring.SingleFlights;
import io.singleflight.spring.examples.CustomerDatabase.Country;
import io.singleflight.spring.examples.CustomerDatabase.Customer;
import io.singleflight.spring.examples.CustomerDatabase.Order;
import io.singleflight.spring.examples.CustomerDatabase.Prices;
import java.util.List;
import java.util.concurrent.TimeoutException;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.cache.annotation.Cacheable;
import org.springframework.context.annotation.Bean;
import reactor.core.publisher.Mono;

/** More examples: of the annotation, and of the beans around it. */
class MoreCustomers {

  private final CustomerDatabase database;
  private final Tenants tenants;

  MoreCustomers(CustomerDatabase database, Tenants tenants) {
    this.database = database;
    this.tenants = tenants;
  }

  // example
  @SharedCall(
      name = "customers", // options: singleflight.instances.customers.*
      key = "#id", // SpEL; default: all parameters
      timeout = "${customers.timeout:200ms}", // for the first caller too
      condition = "#id > 0") // false: as if there were no annotation
  public Customer find(long id, String reason) throws TimeoutException {
    return database.customerById(id);
  }

  // end

  // example
  @SharedCall(identity = SharedCall.EVERYONE)
  public List<Country> countries() {
    return database.countries();
  }

  @SharedCall(identity = "@tenants.current()")
  public Prices prices() {
    return database.pricesOf(tenants.current());
  }

  // end

  static class Reactive {
    private final CustomerDatabase database;
    private final Tenants tenants;

    Reactive(CustomerDatabase database, Tenants tenants) {
      this.database = database;
      this.tenants = tenants;
    }

    // example
    @SharedCall(identity = "@tenants.ofSubscription()")
    public Mono<Prices> prices() {
      return tenants.ofSubscription().map(database::pricesOf);
    }
    // end
  }

  static class Cached {
    private final CustomerDatabase database;

    Cached(CustomerDatabase database) {
      this.database = database;
    }

    // example
    @Cacheable(cacheNames = "customers", sync = true)
    public Customer find(String name) {
      return database.customerByName(name);
    }
    // end
  }

  static class Orders {
    final SingleFlight<Long, Order> orders;
    final SingleFlight<String, Customer> customers;

    // example
    Orders(@Qualifier("orders") SingleFlight<Long, Order> orders, SingleFlights instances) {
      this.orders = orders;
      this.customers = instances.get("customers");
    }
    // end
  }

  static class Beans {

    @Bean
    FlightStats customerStats() {
      return new FlightStats();
    }

    // example
    @Bean
    SingleFlightCustomizer counting(FlightStats stats) {
      return (name, builder) -> builder.listener(stats);
    }

    // end

    // example
    @Bean
    CallerIdentity tenant(Tenants tenants) {
      return tenants::current;
    }
    // end
  }

  static class Javadoc {
    private final CustomerDatabase database = new CustomerDatabase();

    // example
    @SharedCall
    public Customer find(String name) {
      return database.customerByName(name);
    }
    // end
  }
}
