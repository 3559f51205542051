package io.singleflight.spring;

import static io.singleflight.spring.Held.awaitCallers;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationRegistry;
import io.opentelemetry.sdk.testing.exporter.InMemorySpanExporter;
import io.opentelemetry.sdk.trace.SpanProcessor;
import io.opentelemetry.sdk.trace.data.LinkData;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SimpleSpanProcessor;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;

/** In an application of Boot that traces, flights are traced without a word of configuration. */
class TracingTest {

  @RegisterExtension final Calls calls = new Calls();

  static class Service {
    final Held held = new Held();

    @SharedCall(name = "customers")
    public String find() throws InterruptedException {
      return held.perform("found");
    }
  }

  @SpringBootConfiguration(proxyBeanMethods = false)
  @EnableAutoConfiguration
  static class Application {
    private final Service target = new Service();

    @Bean
    Service service() {
      return target;
    }

    @Bean
    InMemorySpanExporter spans() {
      return InMemorySpanExporter.create();
    }

    @Bean
    SpanProcessor atOnce(InMemorySpanExporter spans) {
      return SimpleSpanProcessor.create(spans);
    }
  }

  @Test
  void follower_isLinkedToTheFlightThatItWaitedFor() throws Exception {
    try (ConfigurableApplicationContext context =
        new SpringApplicationBuilder(Application.class)
            .web(WebApplicationType.NONE)
            .run(
                "--management.tracing.sampling.probability=1.0",
                "--spring.datasource.generate-unique-name=true")) {
      Service service = context.getBean(Service.class);
      Held held = context.getBean(Application.class).target.held;
      ObservationRegistry observations = context.getBean(ObservationRegistry.class);
      var leader =
          calls.start(() ->
              Observation.createNotStarted("first", observations).observeChecked(service::find));
      held.awaitBegun(1);
      var follower =
          calls.start(() ->
              Observation.createNotStarted("second", observations).observeChecked(service::find));
      awaitCallers(context.getBean(SingleFlights.class), "customers", 2);
      held.open();
      assertThat(Calls.get(leader)).isEqualTo("found").isEqualTo(Calls.get(follower));

      InMemorySpanExporter spans = context.getBean(InMemorySpanExporter.class);
      await().until(() -> spans.getFinishedSpanItems().size() >= 4);
      List<SpanData> all = spans.getFinishedSpanItems();
      SpanData flight = named("customers flight", all);
      SpanData wait = named("customers follow", all);
      assertThat(flight.getParentSpanId()).isEqualTo(named("first", all).getSpanId());
      assertThat(wait.getParentSpanId()).isEqualTo(named("second", all).getSpanId());
      assertThat(wait.getLinks())
          .extracting(LinkData::getSpanContext)
          .containsExactly(flight.getSpanContext());
    }
  }

  private static SpanData named(String name, List<SpanData> spans) {
    return spans.stream().filter(span -> span.getName().equals(name)).findAny().orElseThrow();
  }
}
