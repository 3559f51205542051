package io.singleflight.spring;

import io.singleflight.InFlight;
import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.actuate.endpoint.InvalidEndpointRequestException;
import org.springframework.boot.actuate.endpoint.annotation.Endpoint;
import org.springframework.boot.actuate.endpoint.annotation.ReadOperation;
import org.springframework.boot.actuate.endpoint.annotation.Selector;
import org.springframework.boot.actuate.endpoint.annotation.WriteOperation;

/** The actuator endpoint: shows the flights in progress, and forgets keys. */
@Endpoint(id = "singleflight")
final class SingleFlightEndpoint {

  private final SingleFlights instances;

  SingleFlightEndpoint(SingleFlights instances) {
    this.instances = instances;
  }

  record Instances(Map<String, Instance> instances) {}

  record Instance(List<Flight> flights) {}

  record Flight(String key, Duration age, int callers, String leader, InFlight.State state) {}

  record Forgotten(int flights) {}

  @ReadOperation
  Instances instances() {
    Map<String, Instance> all = new TreeMap<>();
    for (Map.Entry<String, SingleFlight<Object, @Nullable Object>> instance :
        instances.all().entrySet()) {
      all.put(instance.getKey(), describe(instance.getValue()));
    }
    return new Instances(all);
  }

  @ReadOperation
  @Nullable Instance instance(@Selector String name) {
    SingleFlight<Object, @Nullable Object> flights = instances.all().get(name);
    return flights == null ? null : describe(flights);
  }

  @WriteOperation
  Forgotten forget(@Selector String name, String key) {
    SingleFlight<Object, @Nullable Object> flights = instances.all().get(name);
    if (flights == null) {
      throw new InvalidEndpointRequestException(
          "there is no instance '%s', but %s".formatted(name, instances.all().keySet()),
          "there is no instance of that name");
    }
    int forgotten = 0;
    for (InFlight<Object> flight : flights.inFlight()) {
      if (flight.key().toString().equals(key) && flights.forget(flight.key())) {
        forgotten++;
      }
    }
    return new Forgotten(forgotten);
  }

  private static Instance describe(SingleFlight<Object, @Nullable Object> flights) {
    return new Instance(
        flights.inFlight().stream()
            .sorted(Comparator.comparing(InFlight<Object>::age).reversed())
            .map(flight ->
                new Flight(
                    flight.key().toString(),
                    flight.age(),
                    flight.callers(),
                    flight.leader(),
                    flight.state()))
            .toList());
  }
}
