package io.singleflight.spring;

import io.netty.handler.codec.http.HttpMethod;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import reactor.core.publisher.Mono;
import reactor.netty.ByteBufFlux;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;

/** A real application on a free port, and a client of it that keeps its connections. */
final class Http implements AutoCloseable {

  /** As many requests as a herd has. */
  static final int HERD = 1_000;

  record Answer(int status, String body) {}

  final ConfigurableApplicationContext context;
  private final ConnectionProvider connections =
      ConnectionProvider.builder("herd").maxConnections(HERD).pendingAcquireMaxCount(-1).build();
  private final HttpClient client;

  Http(WebApplicationType type, Class<?> application, String... properties) {
    String[] arguments =
        Stream.concat(
                Stream.of(
                    "--server.port=0",
                    "--spring.main.banner-mode=off",
                    "--spring.threads.virtual.enabled=true",
                    "--server.tomcat.threads.max=" + 2 * HERD,
                    "--server.tomcat.accept-count=" + 2 * HERD,
                    "--spring.datasource.generate-unique-name=true"),
                Stream.of(properties))
            .toArray(String[]::new);
    context = new SpringApplicationBuilder(application).web(type).run(arguments);
    client =
        HttpClient.create(connections)
            .baseUrl("http://localhost:" + port())
            .headers(headers -> headers.set("Content-Type", "application/json"));
  }

  /** A servlet application on Tomcat, or a reactive one on Netty. */
  static Http start(WebApplicationType type, String... properties) {
    return new Http(
        type,
        type == WebApplicationType.SERVLET ? MvcApplication.class : WebFluxApplication.class,
        properties);
  }

  <T> T bean(Class<T> type) {
    return context.getBean(type);
  }

  SingleFlights instances() {
    return bean(SingleFlights.class);
  }

  int port() {
    return context.getEnvironment().getRequiredProperty("local.server.port", Integer.class);
  }

  CompletableFuture<Answer> get(String path) {
    return send(client, HttpMethod.GET, path, "");
  }

  CompletableFuture<Answer> post(String path, String body) {
    return send(client, HttpMethod.POST, path, body);
  }

  CompletableFuture<Answer> getAs(String user, String path) {
    String credentials = Base64.getEncoder().encodeToString((user + ":" + user).getBytes());
    return send(
        client.headers(headers -> headers.set("Authorization", "Basic " + credentials)),
        HttpMethod.GET,
        path,
        "");
  }

  List<CompletableFuture<Answer>> get(String path, int requests) {
    List<CompletableFuture<Answer>> sent = new ArrayList<>();
    for (int i = 0; i < requests; i++) {
      sent.add(get(path));
    }
    return sent;
  }

  private static CompletableFuture<Answer> send(
      HttpClient client, HttpMethod method, String path, String body) {
    return client
        .request(method)
        .uri(path)
        .send(ByteBufFlux.fromString(Mono.just(body)))
        .responseSingle((response, content) ->
            content
                .asString()
                .defaultIfEmpty("")
                .map(text -> new Answer(response.status().code(), text)))
        .toFuture();
  }

  static Answer answer(CompletableFuture<Answer> sent) throws Exception {
    return sent.get(1, TimeUnit.MINUTES);
  }

  @Override
  public void close() {
    context.close();
    connections.dispose();
  }
}
