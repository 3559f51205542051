package consumer;

import io.singleflight.SingleFlight;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

public final class Herd {

  private final SingleFlight<String, String> flights = SingleFlight.create();
  private final AtomicInteger queries = new AtomicInteger();
  private final CountDownLatch allHaveAsked = new CountDownLatch(1);

  public static void main(String[] args) {
    Herd herd = new Herd();
    List<CompletableFuture<String>> answers = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      answers.add(herd.flights.submit("ada", herd::query));
    }
    herd.allHaveAsked.countDown();
    answers.forEach(CompletableFuture::join);
    System.out.println("1000 requests, queries: " + herd.queries); // 1
  }

  /* A query slow enough for everybody to ask meanwhile. */
  private String query(String name) throws InterruptedException {
    queries.incrementAndGet();
    allHaveAsked.await();
    return "the orders of " + name;
  }
}
