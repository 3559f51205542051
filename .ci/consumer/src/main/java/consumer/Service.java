package consumer;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.singleflight.spring.SharedCall;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;

/** A service of Spring Boot's whose method is shared, and metered. */
@SpringBootApplication
public class Service {

  private static final int HERD = 20;

  public static class Orders {

    private final AtomicInteger queries = new AtomicInteger();
    private final CountDownLatch allHaveAsked = new CountDownLatch(1);

    @SharedCall
    public String of(String name) {
      queries.incrementAndGet();
      try {
        allHaveAsked.await();
      } catch (InterruptedException ended) {
        throw new IllegalStateException(ended);
      }
      return "the orders of " + name;
    }

    public void answer() {
      allHaveAsked.countDown();
    }

    public int queries() {
      return queries.get();
    }
  }

  @Bean
  public Orders orders() {
    return new Orders();
  }

  @Bean
  public MeterRegistry registry() {
    return new SimpleMeterRegistry();
  }

  public static void main(String[] args) {
    try (ConfigurableApplicationContext context =
        SpringApplication.run(Service.class, "--spring.main.banner-mode=off")) {
      Orders orders = context.getBean(Orders.class);
      MeterRegistry registry = context.getBean(MeterRegistry.class);
      Executor threads = task -> new Thread(task).start();
      List<CompletableFuture<String>> answers = new ArrayList<>();
      for (int i = 0; i < HERD; i++) {
        answers.add(CompletableFuture.supplyAsync(() -> orders.of("ada"), threads));
      }
      while (waiting(registry) < HERD - 1
          && answers.stream().noneMatch(CompletableFuture::isDone)) {
        Thread.onSpinWait();
      }
      orders.answer();
      answers.forEach(CompletableFuture::join);
      System.out.printf(
          "Spring Boot, %s: %d requests, queries: %d%n",
          SharedCall.class.getModule().isNamed() ? "modules" : "class path",
          HERD,
          orders.queries());
    }
  }

  private static double waiting(MeterRegistry registry) {
    return registry.find("singleflight.waiting").gauges().stream().mapToDouble(Gauge::value).sum();
  }
}
