package io.singleflight.examples.customers;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntFunction;
import java.util.function.LongSupplier;
import java.util.stream.IntStream;
import org.HdrHistogram.ConcurrentHistogram;
import org.HdrHistogram.Histogram;

/** Sends many requests at once, over real HTTP. Thread-safe. */
final class Herd {
  static final int MAX_REQUESTS = 1_000;
  static final int MAX_NAMES = 100;

  private static final int WARM_UP_ROUNDS = 3;
  private static final int WARM_UP_QUERIES = 30;

  private final HttpClient client =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final URI service;
  private final LongSupplier queries;

  /**
   * @param queries how many queries have reached the database so far
   */
  Herd(URI service, LongSupplier queries) {
    this.service = service;
    this.queries = queries;
  }

  /** Opens the connections and lets the JVM compile: a herd meets a service that is running. */
  void warmUp(int requests) {
    for (int round = 0; round < WARM_UP_ROUNDS; round++) {
      all(requests, i -> get("nobody", true)).join();
    }
    all(WARM_UP_QUERIES, i -> get("customer-" + (i + 1), false)).join();
  }

  /**
   * Sends the herd, and waits for the last answer.
   *
   * @param names how many customers the herd asks for
   * @param answered run after each answer
   */
  Result send(int requests, int names, boolean sharing, Runnable answered) {
    Histogram latencies = new ConcurrentHistogram(3);
    AtomicInteger failures = new AtomicInteger();
    long queriesBefore = queries.getAsLong();
    long start = System.nanoTime();
    all(
            requests,
            i -> {
              long sent = System.nanoTime();
              return get("customer-" + (i % names + 1), sharing)
                  .thenAccept(status -> {
                    latencies.recordValue(System.nanoTime() - sent);
                    if (status != 200) {
                      failures.incrementAndGet();
                    }
                    answered.run();
                  });
            })
        .join();
    return new Result(
        requests,
        names,
        sharing,
        failures.get(),
        queries.getAsLong() - queriesBefore,
        latencies.getValueAtPercentile(50) / 1e6,
        latencies.getValueAtPercentile(99) / 1e6,
        Duration.ofNanos(System.nanoTime() - start).toMillis());
  }

  private CompletableFuture<Void> all(int requests, IntFunction<CompletableFuture<?>> request) {
    return CompletableFuture.allOf(
        IntStream.range(0, requests).mapToObj(request).toArray(CompletableFuture<?>[]::new));
  }

  private CompletableFuture<Integer> get(String name, boolean sharing) {
    URI uri = service.resolve("/customers?name=" + name + (sharing ? "" : "&share=no"));
    return client
        .sendAsync(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString())
        .thenApply(response -> response.statusCode());
  }

  /**
   * What a herd met.
   *
   * @param failures answers other than 200
   * @param queries how many queries reached the database meanwhile
   */
  record Result(
      int requests,
      int names,
      boolean sharing,
      int failures,
      long queries,
      double p50Millis,
      double p99Millis,
      long wallMillis) {

    double requestsPerQuery() {
      return queries == 0 ? 0 : (double) requests / queries;
    }
  }
}
