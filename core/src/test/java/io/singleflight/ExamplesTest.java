package io.singleflight;

import static io.singleflight.contract.Contract.callers;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/**
 * The examples of the documentation. What stands between {@code // example} and {@code // end} is
 * shown there word for word: {@link GuaranteesDocTest} compares the two.
 */
class ExamplesTest {

  private static final String name = "ada";

  private final Database database = new Database();

  record Customer(String name, int orders) {
    static final Customer UNKNOWN = new Customer("unknown", 0);
  }

  /** A store whose queries can be held back and counted. */
  static final class Database {
    final AtomicInteger queries = new AtomicInteger();
    final CountDownLatch open = new CountDownLatch(1);
    private final Map<String, Customer> rows = new ConcurrentHashMap<>();
    private volatile boolean held;

    Database() {
      save(new Customer("ada", 1));
      save(new Customer("charles", 1));
    }

    /** From now on a query reads, and then waits until the database is open. */
    void hold() {
      held = true;
    }

    void open() {
      open.countDown();
    }

    void save(Customer customer) {
      rows.put(customer.name(), customer);
    }

    Customer customerByName(String key) throws InterruptedException {
      Customer read = rows.get(key);
      boolean waits = held;
      queries.incrementAndGet();
      if (waits) {
        open.await();
      }
      return read;
    }

    Map<String, Customer> customersByName(Set<String> keys) {
      queries.incrementAndGet();
      Map<String, Customer> found = new TreeMap<>(rows);
      found.keySet().retainAll(keys);
      return found;
    }

    CompletableFuture<Customer> customerByNameAsync(String key) {
      queries.incrementAndGet();
      return CompletableFuture.completedFuture(rows.get(key));
    }

    Customer brokenQuery(String key) throws IOException, InterruptedException {
      customerByName(key);
      throw new IOException("no such table");
    }
  }

  // example
  class Customers {
    private final SingleFlight<String, Customer> flights = SingleFlight.create();

    Customer find(String name) throws InterruptedException {
      return flights.call(name, this::query); // a thousand callers, one query
    }

    private Customer query(String name) throws InterruptedException {
      return database.customerByName(name);
    }
  }

  // end

  @Test
  void call_fromAThousandThreads_queriesOnce() throws Exception {
    Customers customers = new Customers();
    database.hold();
    List<FutureTask<Customer>> callers = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      FutureTask<Customer> caller = new FutureTask<>(() -> customers.find("ada"));
      callers.add(caller);
      Thread thread = new Thread(caller);
      thread.setDaemon(true);
      thread.start();
    }
    await().until(() -> callers(customers.flights) == 1000);
    database.open();
    for (FutureTask<Customer> caller : callers) {
      assertThat(caller.get()).isEqualTo(new Customer("ada", 1));
    }
    assertThat(database.queries).hasValue(1);
  }

  @Test
  void call_asInTheFirstExample_queriesOnce() throws Exception {
    // example
    SingleFlight<String, Customer> flights = SingleFlight.create();

    Customer customer = flights.call(name, key -> database.customerByName(key));
    // end
    assertThat(customer).isEqualTo(new Customer("ada", 1));
    assertThat(database.queries).hasValue(1);
  }

  @Test
  void submit_twiceAtATime_sharesOneQuery() {
    SingleFlight<String, Customer> flights = SingleFlight.create();
    database.hold();
    // example
    CompletableFuture<Customer> one = flights.submit("ada", database::customerByName);
    CompletableFuture<Customer> two = flights.submit("ada", database::customerByName);

    // one query, whose result both futures get
    // end
    database.open();
    assertThat(two.join()).isSameAs(one.join());
    assertThat(database.queries).hasValue(1);
  }

  @Test
  void call_afterAnotherHasReturned_queriesAgain() throws Exception {
    SingleFlight<String, Customer> flights = SingleFlight.create();
    // example
    Customer before = flights.call("ada", database::customerByName);
    Customer after = flights.call("ada", database::customerByName); // a second query
    // end
    assertThat(after).isSameAs(before);
    assertThat(database.queries).hasValue(2);
  }

  @Test
  void call_nextAfterAWrite_seesTheWrite() throws Exception {
    database.hold();
    // example
    SingleFlight<String, Customer> flights =
        SingleFlight.<String, Customer>builder().freshness(Freshness.NEXT).build();
    // end
    CompletableFuture<Customer> early = flights.submit("ada", database::customerByName);
    await().untilAtomic(database.queries, queries -> assertThat(queries).isEqualTo(1));
    CompletableFuture<Customer> late =
        CompletableFuture.supplyAsync(() -> {
          try {
            // example
            database.save(new Customer("ada", 2));
            Customer saved = flights.call("ada", database::customerByName); // sees ada's 2 orders
            // end
            return saved;
          } catch (InterruptedException e) {
            throw new AssertionError(e);
          }
        });
    await().untilAsserted(() -> assertThat(flights.inFlight()).hasSize(2));
    database.open();
    assertThat(early.join().orders()).isEqualTo(1);
    assertThat(late.join().orders()).isEqualTo(2);
  }

  @Test
  void call_afterAFailure_queriesAgain() throws Exception {
    SingleFlight<String, Customer> flights = SingleFlight.create();
    Customer customer = null;
    // example
    try {
      flights.call("ada", database::brokenQuery);
    } catch (IOException e) {
      customer = flights.call("ada", database::customerByName); // the key is free again
    }
    // end
    assertThat(customer).isEqualTo(new Customer("ada", 1));
    assertThat(database.queries).hasValue(2);
  }

  @Test
  void submit_cancelledByOne_answersTheOther() {
    SingleFlight<String, Customer> flights = SingleFlight.create();
    database.hold();
    // example
    CompletableFuture<Customer> hasty = flights.submit("ada", database::customerByName);
    CompletableFuture<Customer> patient = flights.submit("ada", database::customerByName);

    hasty.cancel(true); // the query goes on, and patient gets its result
    // end
    assertThat(hasty).isCancelled();
    database.open();
    assertThat(patient.join()).isEqualTo(new Customer("ada", 1));
    assertThat(database.queries).hasValue(1);
  }

  @Test
  void submit_failing_givesBothTheSameFailure() {
    SingleFlight<String, Customer> flights = SingleFlight.create();
    database.hold();
    // example
    CompletableFuture<Customer> one = flights.submit("ada", database::brokenQuery);
    CompletableFuture<Customer> two = flights.submit("ada", database::brokenQuery);

    // one query; both futures are completed with the same IOException object
    // end
    database.open();
    Throwable failure = one.handle((customer, thrown) -> thrown).join();
    assertThat(failure).isInstanceOf(IOException.class);
    assertThat(two.handle((customer, thrown) -> thrown).join()).isSameAs(failure);
    assertThat(database.queries).hasValue(1);
  }

  @Test
  void call_forItsOwnKey_throwsInsteadOfHanging() {
    SingleFlight<String, Customer> flights = SingleFlight.create();
    assertThatThrownBy(
            () -> {
              // example
              flights.call("ada", key -> flights.call(key, database::customerByName)); // throws
              // end
            })
        .isInstanceOf(FlightDeadlockException.class)
        .hasMessageContaining("ada");
  }

  @Test
  void call_insideWorkForAnotherKey_answers() throws Exception {
    SingleFlight<String, Customer> flights = SingleFlight.create();
    // example
    Customer charles =
        flights.call("ada", key -> flights.call("charles", database::customerByName));
    // end
    assertThat(charles).isEqualTo(new Customer("charles", 1));
  }

  @Test
  void inFlight_afterTheLastCall_isEmpty() {
    SingleFlight<String, Customer> flights = SingleFlight.create();
    database.hold();
    // example
    CompletableFuture<Customer> only = flights.submit("ada", database::customerByName);

    only.cancel(true); // the last caller has left: the query is interrupted
    flights.inFlight(); // is empty
    // end
    assertThat(flights.inFlight()).isEmpty();
  }

  @Test
  void forget_afterAWrite_keepsLaterCallsFromOldQueries() throws Exception {
    SingleFlight<String, Customer> flights = SingleFlight.create();
    database.hold();
    CompletableFuture<Customer> early = flights.submit("ada", database::customerByName);
    await().untilAtomic(database.queries, queries -> assertThat(queries).isEqualTo(1));
    database.held = false;
    // example
    database.save(new Customer("ada", 2));
    flights.forget("ada");
    Customer saved = flights.call("ada", database::customerByName); // sees ada's 2 orders
    // end
    assertThat(saved.orders()).isEqualTo(2);
    database.open();
    assertThat(early.join().orders()).isEqualTo(1);
  }

  @Test
  void submit_writingPlainFields_isVisibleToItsCaller() {
    SingleFlight<String, Customer> flights = SingleFlight.create();
    // example
    List<String> queried = new ArrayList<>(); // neither locked nor volatile
    flights
        .submit(
            "ada",
            key -> {
              queried.add(key);
              return database.customerByName(key);
            })
        .join();
    int queries = queried.size(); // is 1
    // end
    assertThat(queries).isEqualTo(1);
  }

  @Test
  void call_withTimeout_returnsWhileTheQueryIsStuck() throws Exception {
    SingleFlight<String, Customer> flights = SingleFlight.create();
    database.hold();
    Customer customer;
    // example
    try {
      customer = flights.call("ada", Duration.ofMillis(50), database::customerByName);
    } catch (TimeoutException e) {
      customer = Customer.UNKNOWN; // however long the query still takes
    }
    // end
    assertThat(customer).isSameAs(Customer.UNKNOWN);
  }

  @Test
  void callAll_forTwoKeys_queriesOnce() throws Exception {
    SingleFlight<String, Customer> flights = SingleFlight.create();
    // example
    Map<String, Customer> customers =
        flights.callAll(List.of("ada", "charles"), keys -> database.customersByName(keys));
    // end
    assertThat(customers).containsOnlyKeys("ada", "charles");
    assertThat(database.queries).hasValue(1);
  }

  @Test
  void callAsync_withAStage_answers() {
    SingleFlight<String, Customer> flights = SingleFlight.create();
    // example
    CompletableFuture<Customer> customer =
        flights.callAsync("ada", key -> database.customerByNameAsync(key));
    // end
    assertThat(customer.join()).isEqualTo(new Customer("ada", 1));
  }

  @Test
  void builder_withOptions_counts() throws Exception {
    // example
    FlightStats stats = new FlightStats();
    SingleFlight<String, Customer> flights =
        SingleFlight.<String, Customer>builder()
            .name("customers")
            .maxJoinAge(Duration.ofSeconds(5))
            .listener(stats)
            .build();
    // end
    flights.call("ada", database::customerByName);
    // example
    FlightStats.Snapshot counts = stats.snapshot();
    long calls = counts.started() + counts.joined();
    long executions = counts.started() + counts.handedOff();
    // end
    assertThat(calls).isEqualTo(1);
    assertThat(executions).isEqualTo(1);
  }
}
