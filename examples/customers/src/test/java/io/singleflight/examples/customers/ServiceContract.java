package io.singleflight.examples.customers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.net.http.HttpResponse;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** The service over real HTTP, in front of a real database. */
@SuppressWarnings("try") // what is held is not used, only closed
@TestInstance(Lifecycle.PER_CLASS)
abstract class ServiceContract {
  static final Duration PATIENCE = Duration.ofSeconds(60);

  private static final int CALLERS = 60;

  private CustomerDatabase customers;
  private Service service;
  private Client client;

  /** Where there is a database that nobody else uses. */
  abstract String url() throws Exception;

  @BeforeAll
  void start() throws Exception {
    Awaitility.setDefaultTimeout(PATIENCE);
    customers = CustomerDatabase.open(url(), PATIENCE, orders -> {});
    service = Service.start(customers, PATIENCE, 0);
    client = new Client(service);
  }

  @AfterAll
  void stop() throws Exception {
    Awaitility.reset();
    service.close();
    customers.close();
  }

  @Test
  void customer_known_answersWhatTheOrdersAddUpTo() throws SQLException {
    HttpResponse<String> response = client.get("/customers?name=customer-7");

    assertThat(response.statusCode()).isEqualTo(200);
    assertThat(response.headers().firstValue("content-type")).hasValue("application/json");
    JsonNode customer = Client.json(response);
    Map<Long, List<Long>> cents = centsOfOrders();
    assertThat(customer.get("id").asLong()).isEqualTo(7);
    assertThat(customer.get("name").asString()).isEqualTo("customer-7");
    assertThat(customer.get("orders").asInt()).isEqualTo(cents.get(7L).size());
    assertThat(customer.get("revenue").decimalValue().movePointRight(2).longValueExact())
        .isEqualTo(sum(cents.get(7L)));
    assertThat(customer.get("rank").asLong())
        .isEqualTo(1 + cents.values().stream().filter(c -> sum(c) > sum(cents.get(7L))).count());
  }

  @Test
  void customer_unknown_answers404() {
    HttpResponse<String> response = client.get("/customers?name=nobody");

    assertThat(response.statusCode()).isEqualTo(404);
    assertThat(error(response)).isEqualTo("There is no customer named nobody");
  }

  @ParameterizedTest
  @ValueSource(strings = {"/customers", "/customers?name=", "/customers?name=%20"})
  void customer_withoutName_answers400(String path) {
    HttpResponse<String> response = client.get(path);

    assertThat(response.statusCode()).isEqualTo(400);
    assertThat(error(response)).contains("/customers?name=customer-1");
  }

  @Test
  void customer_shareOtherThanNo_answers400() {
    HttpResponse<String> response = client.get("/customers?name=customer-1&share=maybe");

    assertThat(response.statusCode()).isEqualTo(400);
    assertThat(error(response)).contains("share=maybe");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "&share=no"})
  void customer_databaseFails_answers500InPlainWords(String share) throws SQLException {
    try (var broken = new BrokenTable()) {
      HttpResponse<String> response = client.get("/customers?name=customer-1" + share);

      assertThat(response.statusCode()).isEqualTo(500);
      assertThat(error(response)).isEqualTo("The database failed; the service's log says why");
    }
    assertThat(client.get("/customers?name=customer-1" + share).statusCode()).isEqualTo(200);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "&share=no"})
  void customer_deadlinePasses_answers503(String share) throws Exception {
    try (Service hasty = Service.start(customers, Duration.ofMillis(50), 0);
        HeldConnections held = new HeldConnections(customers)) {
      HttpResponse<String> response = new Client(hasty).get("/customers?name=customer-1" + share);

      assertThat(response.statusCode()).isEqualTo(503);
      assertThat(error(response)).contains("did not answer in time");
    }
    assertThat(client.get("/customers?name=customer-1").statusCode()).isEqualTo(200);
  }

  /** An abandoned query's thread is interrupted, which closes a database on H2's usual files. */
  @Test
  void customer_deadlinesPassDuringQueries_leavesTheDatabaseUsable() throws Exception {
    List<Integer> statuses = new ArrayList<>();
    try (Service hasty = Service.start(customers, Duration.ofMillis(10), 0)) {
      Client impatient = new Client(hasty);
      for (int i = 1; i <= 20; i++) {
        statuses.add(impatient.get("/customers?name=customer-" + i).statusCode());
      }
    }

    assertThat(statuses).contains(503).isSubsetOf(200, 503);
    assertThat(client.get("/customers?name=customer-1").statusCode()).isEqualTo(200);
  }

  @ParameterizedTest
  @CsvSource({"customer-3, 200", "nobody, 404"})
  void customers_atOnce_shareOneQuery(String name, int status) throws Exception {
    long before = customers.queries();
    List<CompletableFuture<HttpResponse<String>>> answers;
    try (HeldConnections held = new HeldConnections(customers)) {
      answers = client.getAtOnce(CALLERS, "/customers?name=" + name);
      await().until(() -> callers(name) == CALLERS);
    }

    assertThat(answers).extracting(CompletableFuture::join).allMatch(r -> r.statusCode() == status);
    assertThat(answers)
        .extracting(answer -> answer.join().body())
        .containsOnly(answers.get(0).join().body());
    assertThat(customers.queries() - before).isEqualTo(1);
    assertThat(client.live().get("flights")).isEmpty();
  }

  @Test
  void customers_atOnceWhileTheDatabaseFails_shareOneFailure() throws Exception {
    long before = customers.queries();
    List<CompletableFuture<HttpResponse<String>>> answers;
    try (var broken = new BrokenTable()) {
      try (HeldConnections held = new HeldConnections(customers)) {
        answers = client.getAtOnce(CALLERS, "/customers?name=customer-4");
        await().until(() -> callers("customer-4") == CALLERS);
      }
      answers.forEach(CompletableFuture::join);
    }

    assertThat(answers).extracting(CompletableFuture::join).allMatch(r -> r.statusCode() == 500);
    assertThat(customers.queries() - before).isEqualTo(1);
  }

  @Test
  void customers_atOnceWithoutSharing_queryEach() throws Exception {
    long before = customers.queries();
    List<CompletableFuture<HttpResponse<String>>> answers;
    try (HeldConnections held = new HeldConnections(customers)) {
      answers = client.getAtOnce(CALLERS, "/customers?name=customer-5&share=no");
      await().until(() -> client.live().get("waiting").asInt() == CALLERS);
      assertThat(client.live().get("flights")).isEmpty();
    }

    assertThat(answers).extracting(CompletableFuture::join).allMatch(r -> r.statusCode() == 200);
    assertThat(customers.queries() - before).isEqualTo(CALLERS);
  }

  @Test
  void customers_ofOtherNames_queryEach() throws Exception {
    long before = customers.queries();
    List<CompletableFuture<HttpResponse<String>>> answers = new ArrayList<>();
    try (HeldConnections held = new HeldConnections(customers)) {
      for (int i = 1; i <= 3; i++) {
        answers.addAll(client.getAtOnce(2, "/customers?name=customer-" + i));
      }
      await()
          .until(() -> callers("customer-1") + callers("customer-2") + callers("customer-3") == 6);
    }

    assertThat(answers).extracting(CompletableFuture::join).allMatch(r -> r.statusCode() == 200);
    assertThat(customers.queries() - before).isEqualTo(3);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "requests=0&names=1",
        "requests=-1&names=1",
        "requests=1001&names=1",
        "requests=x&names=1",
        "names=1",
        "requests=1&names=101",
        "requests=1"
      })
  void herd_numbersOutOfRange_answers400(String parameters) {
    HttpResponse<String> response = client.send("POST", "/herd?" + parameters).join();

    assertThat(response.statusCode()).isEqualTo(400);
    assertThat(error(response)).contains("is no whole number from 1 to 100");
  }

  @Test
  void herd_whileAnotherIsUnderWay_answers409() throws Exception {
    CompletableFuture<HttpResponse<String>> first;
    try (HeldConnections held = new HeldConnections(customers)) {
      first = client.send("POST", "/herd?requests=5&names=1");
      await().until(() -> callers("customer-1") == 5);

      assertThat(client.send("POST", "/herd?requests=5&names=1").join().statusCode())
          .isEqualTo(409);
    }
    JsonNode result = Client.json(first.join());
    assertThat(result.get("requests").asInt()).isEqualTo(5);
    assertThat(result.get("queries").asInt()).isEqualTo(1);
    assertThat(result.get("failures").asInt()).isZero();
  }

  @Test
  void page_andItsChartLibrary_areServedFromHere() {
    assertThat(client.get("/").body()).contains("<title>singleflight").doesNotContain("//cdn");
    assertThat(client.get("/app.js").statusCode()).isEqualTo(200);
    assertThat(client.get("/charts/uPlot.iife.min.js").body()).contains("uPlot");
    assertThat(client.get("/nothing-here").statusCode()).isEqualTo(404);
  }

  private int callers(String name) {
    for (JsonNode flight : client.live().get("flights")) {
      if (flight.get("key").asString().equals(name)) {
        return flight.get("callers").asInt();
      }
    }
    return 0;
  }

  private static String error(HttpResponse<String> response) {
    return Client.json(response).get("error").asString();
  }

  private static long sum(List<Long> cents) {
    return cents.stream().mapToLong(Long::longValue).sum();
  }

  private Map<Long, List<Long>> centsOfOrders() throws SQLException {
    Map<Long, List<Long>> cents = new HashMap<>();
    try (Connection connection = customers.connection();
        Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery("SELECT customer_id, cents FROM singleflight_orders")) {
      while (row.next()) {
        cents.computeIfAbsent(row.getLong(1), id -> new ArrayList<>()).add(row.getLong(2));
      }
    }
    return cents;
  }

  /** Takes the orders away from the service until it is closed. */
  private final class BrokenTable implements AutoCloseable {
    BrokenTable() throws SQLException {
      run("ALTER TABLE singleflight_orders RENAME TO gone");
    }

    @Override
    public void close() throws SQLException {
      run("ALTER TABLE gone RENAME TO singleflight_orders");
    }

    private void run(String sql) throws SQLException {
      try (Connection connection = customers.connection();
          Statement statement = connection.createStatement()) {
        statement.execute(sql);
      }
    }
  }
}
