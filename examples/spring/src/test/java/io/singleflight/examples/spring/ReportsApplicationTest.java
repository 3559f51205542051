package io.singleflight.examples.spring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.singleflight.InFlight;
import io.singleflight.spring.SingleFlights;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.context.SpringBootTest.WebEnvironment;
import org.springframework.boot.test.web.server.LocalServerPort;

@SpringBootTest(
    webEnvironment = WebEnvironment.RANDOM_PORT,
    properties = {
      "spring.datasource.hikari.maximum-pool-size=1",
      "spring.datasource.hikari.connection-timeout=120000"
    })
class ReportsApplicationTest {

  @Autowired Reports reports;
  @Autowired SingleFlights instances;
  @Autowired DataSource database;
  @LocalServerPort int port;

  private final HttpClient client = HttpClient.newHttpClient();

  private CompletableFuture<HttpResponse<String>> get(String path) {
    return client.sendAsync(
        HttpRequest.newBuilder(URI.create("http://localhost:" + port + path)).build(),
        HttpResponse.BodyHandlers.ofString());
  }

  @Test
  void report_askedForByManyAtOnce_isOneQueryAndTheSameForAll() throws SQLException {
    HttpResponse<String> alone = get("/reports/customer-1").join();
    assertThat(alone.statusCode()).isEqualTo(200);
    assertThat(alone.body()).contains("\"customer\":\"customer-1\",\"orders\":");

    long before = reports.queries();
    List<CompletableFuture<HttpResponse<String>>> herd;
    // The query waits for the only connection until all are aboard.
    try (Connection held = database.getConnection()) {
      assertThat(held.isValid(1)).isTrue();
      herd = Stream.generate(() -> get("/reports/customer-1")).limit(100).toList();
      await().atMost(1, TimeUnit.MINUTES).until(() -> callers() == 100);
    }
    assertThat(herd).allSatisfy(one -> assertThat(one.join().body()).isEqualTo(alone.body()));
    assertThat(reports.queries() - before).isEqualTo(1);
  }

  private int callers() {
    return instances.get("reports").inFlight().stream().mapToInt(InFlight::callers).sum();
  }

  @Test
  void report_ofAnUnknownCustomer_isNotFound() {
    assertThat(get("/reports/nobody").join().statusCode()).isEqualTo(404);
  }

  @Test
  void endpoint_tellsTheInstance() {
    assertThat(get("/actuator/singleflight").join().body())
        .isEqualTo("{\"instances\":{\"reports\":{\"flights\":[]}}}");
  }
}
