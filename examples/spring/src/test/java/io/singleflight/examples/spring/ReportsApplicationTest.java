package io.singleflight.examples.spring;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.context.SpringBootTest.WebEnvironment;
import org.springframework.boot.test.web.server.LocalServerPort;

@SpringBootTest(webEnvironment = WebEnvironment.RANDOM_PORT)
class ReportsApplicationTest {

  @Autowired Reports reports;
  @LocalServerPort int port;

  private final HttpClient client = HttpClient.newHttpClient();

  private CompletableFuture<HttpResponse<String>> get(String path) {
    return client.sendAsync(
        HttpRequest.newBuilder(URI.create("http://localhost:" + port + path)).build(),
        HttpResponse.BodyHandlers.ofString());
  }

  @Test
  void report_askedForByManyAtOnce_isSharedAndTheSameForAll() {
    HttpResponse<String> alone = get("/reports/customer-1").join();
    assertThat(alone.statusCode()).isEqualTo(200);
    assertThat(alone.body()).contains("\"customer\":\"customer-1\",\"orders\":");

    long before = reports.queries();
    List<CompletableFuture<HttpResponse<String>>> herd =
        Stream.generate(() -> get("/reports/customer-1")).limit(100).toList();
    assertThat(herd).allSatisfy(one -> assertThat(one.join().body()).isEqualTo(alone.body()));
    assertThat(reports.queries() - before).isBetween(1L, 99L);
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
