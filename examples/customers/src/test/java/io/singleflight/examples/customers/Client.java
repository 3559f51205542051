package io.singleflight.examples.customers;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A client of the service under test. */
final class Client {
  private final HttpClient http =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final URI service;

  Client(Service service) {
    this.service = service.uri();
  }

  CompletableFuture<HttpResponse<String>> send(String method, String path) {
    return http.sendAsync(
        HttpRequest.newBuilder(service.resolve(path))
            .method(method, BodyPublishers.noBody())
            .build(),
        BodyHandlers.ofString());
  }

  HttpResponse<String> get(String path) {
    return send("GET", path).join();
  }

  List<CompletableFuture<HttpResponse<String>>> getAtOnce(int requests, String path) {
    return Stream.generate(() -> send("GET", path)).limit(requests).toList();
  }

  JsonNode live() {
    return json(get("/live"));
  }

  static JsonNode json(HttpResponse<String> response) {
    return new JsonMapper().readTree(response.body());
  }
}
