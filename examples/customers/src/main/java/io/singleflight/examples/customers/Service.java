package io.singleflight.examples.customers;

import io.singleflight.SingleFlight;
import io.singleflight.examples.customers.HttpServer.Answer;
import io.singleflight.examples.customers.HttpServer.Route;
import java.net.URI;
import java.sql.SQLException;
import java.sql.SQLTransientException;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.eclipse.jetty.util.Fields;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Customers as JSON, and the page that shows what sharing their queries does. Thread-safe. */
final class Service implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Service.class);

  private final SingleFlight<String, Optional<Customer>> flights = SingleFlight.create();
  private final CustomerDatabase customers;
  private final Duration deadline;

  private final Traffic traffic;
  private final AtomicBoolean herdUnderWay = new AtomicBoolean();
  private final String database;
  private final HttpServer http;

  private Service(CustomerDatabase customers, Duration deadline, int port) throws Exception {
    this.customers = customers;
    this.deadline = deadline;
    this.database = customers.product();
    this.traffic = new Traffic(customers::queries);
    this.http = HttpServer.start(port, this::routes);
  }

  /**
   * Starts the service on the loopback address.
   *
   * @param deadline how long a request for a customer may take
   * @param port 0 for a free one
   */
  static Service start(CustomerDatabase customers, Duration deadline, int port) throws Exception {
    return new Service(customers, deadline, port);
  }

  private Map<String, Route> routes(URI uri) {
    Herd herd = new Herd(uri, customers::queries);
    return Map.of(
        "GET /customers", this::timedCustomer,
        "GET /live", unused -> live(),
        "POST /herd", parameters -> herd(herd, parameters));
  }

  private Answer customer(Fields parameters) {
    String name = parameters.getValue("name");
    if (name == null || name.isBlank()) {
      return Answer.error(400, "Which customer? Ask for /customers?name=customer-1");
    }
    String share = parameters.getValue("share");
    if (share != null && !share.equals("no")) {
      return Answer.error(400, "share=" + share + " is unknown: say share=no, or leave it out");
    }
    /* Who does not share has a flight of their own, with the same deadline on the same threads. */
    SingleFlight<String, Optional<Customer>> shared =
        share == null ? flights : SingleFlight.create();
    try {
      return shared
          .call(name, deadline, this::find)
          .map(customer -> new Answer(200, customer))
          .orElseGet(() -> Answer.error(404, "There is no customer named " + name));
    } catch (TimeoutException | SQLTransientException e) {
      return Answer.error(503, "The database did not answer in time; try again later");
    } catch (SQLException e) {
      return Answer.error(500, "The database failed; the service's log says why");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Answer.error(503, "The service is stopping");
    }
  }

  /* Logs here, where it happens, and not where each of its callers hears of it. */
  private Optional<Customer> find(String name) throws SQLException {
    try {
      return customers.find(name);
    } catch (SQLException e) {
      if (e instanceof SQLTransientException || Thread.currentThread().isInterrupted()) {
        log.warn("No figures for {} in time: {}", name, String.valueOf(Main.root(e)));
      } else {
        log.error("No figures for {}", name, e);
      }
      throw e;
    }
  }

  private Answer timedCustomer(Fields parameters) {
    long receivedAt = traffic.received();
    try {
      return customer(parameters);
    } finally {
      traffic.answered(receivedAt);
    }
  }

  private Answer herd(Herd herd, Fields parameters) {
    int requests;
    int names;
    try {
      requests = number(parameters, "requests", Herd.MAX_REQUESTS);
      names = number(parameters, "names", Herd.MAX_NAMES);
    } catch (IllegalArgumentException e) {
      return Answer.error(400, String.valueOf(e.getMessage()));
    }
    if (!herdUnderWay.compareAndSet(false, true)) {
      return Answer.error(409, "A herd is under way; wait for its end");
    }
    try {
      boolean sharing = parameters.getValue("share") == null;
      return new Answer(200, herd.send(requests, names, sharing, () -> {}));
    } finally {
      herdUnderWay.set(false);
    }
  }

  private static int number(Fields parameters, String name, int max) {
    String value = String.valueOf(parameters.getValue(name));
    if (!value.matches("[1-9][0-9]{0,3}") || Integer.parseInt(value) > max) {
      throw new IllegalArgumentException(
          name + "=" + value + " is no whole number from 1 to " + max);
    }
    return Integer.parseInt(value);
  }

  private Answer live() {
    return new Answer(
        200,
        new Live(
            database,
            traffic.answered(),
            traffic.waiting(),
            customers.queries(),
            flights.inFlight().stream()
                .map(f -> new Flight(f.key(), f.age().toMillis(), f.callers(), f.leader()))
                .sorted(Comparator.comparingLong(Flight::ageMillis).reversed())
                .toList(),
            traffic.samples()));
  }

  URI uri() {
    return http.uri();
  }

  /** Returns when the service has been stopped. */
  void join() throws InterruptedException {
    http.join();
  }

  @Override
  public void close() {
    traffic.close();
    http.close();
  }

  /** What the page shows. */
  record Live(
      String database,
      long answered,
      long waiting,
      long queries,
      List<Flight> flights,
      List<Traffic.Sample> samples) {}

  /** A row of the page's flights in progress. */
  record Flight(String key, long ageMillis, int callers, String leader) {}
}
