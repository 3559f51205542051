package io.singleflight.spring;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.springframework.boot.actuate.endpoint.annotation.Endpoint;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.aop.AopAutoConfiguration;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.test.context.runner.WebApplicationContextRunner;
import reactor.core.publisher.Mono;

/** Spring Security, Reactor, the actuator and transactions need not be there. */
public class OptionalDependenciesTest {

  private final ApplicationContextRunner runner =
      new ApplicationContextRunner()
          .withConfiguration(
              AutoConfigurations.of(
                  AopAutoConfiguration.class, SingleFlightAutoConfiguration.class))
          .withBean(Service.class)
          .withPropertyValues("singleflight.cache.enabled=true");

  /** Public, for the class loader of these tests. */
  public static class Service {
    /** A value. */
    @SharedCall
    public String value() {
      return "value";
    }

    /** A value in time. */
    @SharedCall(timeout = "1m")
    public String inTime() {
      return "value";
    }

    /** A future. */
    @SharedCall
    public CompletableFuture<String> future() {
      return CompletableFuture.completedFuture("value");
    }
  }

  @Test
  void application_withoutAll_shares() {
    runner
        .withClassLoader(
            new FilteredClassLoader(
                "io.micrometer.core",
                "io.singleflight.micrometer",
                "org.springframework.security",
                "reactor",
                "org.reactivestreams",
                "org.springframework.boot.actuate",
                "org.springframework.transaction",
                "org.springframework.web",
                "org.aspectj"))
        .run(context -> {
          assertThat(context).hasNotFailed();
          assertThat(context.getBeansOfType(CallerIdentity.class)).isEmpty();
          assertThat(context.containsBean("singleFlightEndpoint")).isFalse();
          Service service = context.getBean(Service.class);
          assertThat(service.value()).isEqualTo("value");
          assertThat(service.inTime()).isEqualTo("value");
          assertThat(service.future()).isCompletedWithValue("value");
        });
  }

  @Test
  void application_withoutReactor_knowsThePrincipalOfThreads() {
    runner
        .withClassLoader(new FilteredClassLoader("reactor", "org.reactivestreams"))
        .run(context -> {
          assertThat(context.getBeansOfType(CallerIdentity.class))
              .containsOnlyKeys("singleFlightPrincipal");
          assertThat(context.getBean(Service.class).value()).isEqualTo("value");
        });
  }

  /** Public, for the class loader of these tests. */
  public static class ReactiveService {
    /** A Mono. */
    @SharedCall
    public Mono<String> mono() {
      return Mono.just("value");
    }
  }

  @Test
  void application_withoutTransactions_sharesMonos() {
    runner
        .withClassLoader(new FilteredClassLoader("org.springframework.transaction"))
        .withBean(ReactiveService.class)
        .run(context ->
            assertThat(context.getBean(ReactiveService.class).mono().block()).isEqualTo("value"));
  }

  @Test
  void application_withoutSecurity_knowsNoPrincipal() {
    runner
        .withClassLoader(new FilteredClassLoader("org.springframework.security"))
        .run(context -> {
          assertThat(context.getBeansOfType(CallerIdentity.class)).isEmpty();
          assertThat(context.getBean(Service.class).value()).isEqualTo("value");
        });
  }

  @Test
  void endpoint_isThereIfItIsExposed() {
    WebApplicationContextRunner web =
        new WebApplicationContextRunner()
            .withConfiguration(AutoConfigurations.of(SingleFlightAutoConfiguration.class));
    web.run(context -> assertThat(context).doesNotHaveBean(SingleFlightEndpoint.class));
    WebApplicationContextRunner exposed =
        web.withPropertyValues("management.endpoints.web.exposure.include=singleflight");
    exposed.run(context -> assertThat(context).hasSingleBean(SingleFlightEndpoint.class));
    exposed
        .withClassLoader(new FilteredClassLoader(Endpoint.class.getPackageName()))
        .run(context -> assertThat(context).hasNotFailed());
  }
}
