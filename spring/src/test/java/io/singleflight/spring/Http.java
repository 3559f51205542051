package io.singleflight.spring;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;

/** A real application on a free port, and a client of it. */
final class Http implements AutoCloseable {

  /** As many as a herd has; connections are kept and used again. */
  static final int HERD = 1_000;

  final ConfigurableApplicationContext context;
  private final ExecutorService threads = Executors.newFixedThreadPool(2);
  private final HttpClient client =
      HttpClient.newBuilder()
          .version(HttpClient.Version.HTTP_1_1)
          .executor(threads)
          .connectTimeout(Duration.ofMinutes(1))
          .build();

  Http(WebApplicationType type, Class<?> application, String... properties) {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "--server.port=0",
                "--spring.main.banner-mode=off",
                "--spring.threads.virtual.enabled=true",
                "--server.tomcat.threads.max=" + 2 * HERD,
                "--server.tomcat.accept-count=" + 2 * HERD,
                "--spring.datasource.generate-unique-name=true"));
    arguments.addAll(List.of(properties));
    context =
        new SpringApplicationBuilder(application)
            .web(type)
            .run(arguments.toArray(String[]::new));
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

  static HttpRequest.Builder as(String user, HttpRequest.Builder request) {
    String credentials = user + ":" + user;
    return request.header(
        "Authorization",
        "Basic "
            + Base64.getEncoder()
                .encodeToString(credentials.getBytes(StandardCharsets.UTF_8)));
  }

  HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create("http://localhost:" + port() + path));
  }

  CompletableFuture<HttpResponse<String>> send(HttpRequest.Builder request) {
    return client.sendAsync(request.build(), HttpResponse.BodyHandlers.ofString());
  }

  CompletableFuture<HttpResponse<String>> get(String path) {
    return send(request(path));
  }

  List<CompletableFuture<HttpResponse<String>>> get(String path, int requests) {
    List<CompletableFuture<HttpResponse<String>>> sent = new ArrayList<>();
    for (int i = 0; i < requests; i++) {
      sent.add(get(path));
    }
    return sent;
  }

  static HttpResponse<String> answer(CompletableFuture<HttpResponse<String>> sent)
      throws Exception {
    return sent.get(1, TimeUnit.MINUTES);
  }

  @Override
  public void close() {
    context.close();
    threads.shutdownNow();
  }
}
