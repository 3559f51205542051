package io.singleflight.spring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.singleflight.FlightListener;
import io.singleflight.FlightStats;
import io.singleflight.SingleFlight;
import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Parameter;
import java.lang.reflect.RecordComponent;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.ImportAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.context.properties.bind.DataObjectPropertyName;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.PropertiesPropertySource;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.env.SystemEnvironmentPropertySource;
import org.springframework.core.io.ClassPathResource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Properties set every option, and fail the start if they are wrong. */
@ExtendWith(OutputCaptureExtension.class)
class PropertiesTest {

  private final ApplicationContextRunner runner =
      new ApplicationContextRunner()
          .withConfiguration(AutoConfigurations.of(SingleFlightAutoConfiguration.class));

  @Test
  void properties_coverEveryOptionOfTheBuilder() {
    Set<String> options =
        Arrays.stream(SingleFlight.Builder.class.getDeclaredMethods())
            .filter(method -> Modifier.isPublic(method.getModifiers()))
            .map(Method::getName)
            .filter(name -> !Set.of("build", "name").contains(name))
            .map(name -> name.equals("listener") ? "listeners" : name)
            .collect(Collectors.toSet());
    assertThat(SingleFlightProperties.Instance.class.getRecordComponents())
        .extracting(RecordComponent::getName)
        .containsExactlyInAnyOrderElementsOf(options);
  }

  private static JsonNode metadata() throws IOException {
    return new JsonMapper()
        .readTree(
            new ClassPathResource("META-INF/spring-configuration-metadata.json").getInputStream());
  }

  @ParameterizedTest
  @ValueSource(strings = {"default", "cache"})
  void metadata_ofTheInstancesThatAreAlwaysThere_tellsEachOption(String instance)
      throws IOException {
    Map<String, JsonNode> properties =
        metadata()
            .get("properties")
            .valueStream()
            .collect(
                Collectors.toMap(property -> property.get("name").asString(), Function.identity()));
    for (Parameter option :
        SingleFlightProperties.Instance.class.getDeclaredConstructors()[0].getParameters()) {
      JsonNode property =
          properties.get(
              "singleflight.instances.%s.%s"
                  .formatted(instance, DataObjectPropertyName.toDashedForm(option.getName())));
      assertThat(property).as("%s", option).isNotNull();
      assertThat(property.get("type").asString())
          .isEqualTo(option.getParameterizedType().getTypeName());
      assertThat(property.get("description").asString()).isNotBlank();
      DefaultValue value = option.getAnnotation(DefaultValue.class);
      assertThat(property.path("defaultValue").asString(""))
          .isEqualTo(value == null ? "" : String.join(",", value.value()));
    }
  }

  @Test
  void metadata_namesTypesAndDescribesAll() throws IOException {
    JsonNode metadata = metadata();
    JsonNode instances =
        metadata
            .get("properties")
            .valueStream()
            .filter(property -> property.get("name").asString().equals("singleflight.instances"))
            .findAny()
            .orElseThrow();
    assertThat(instances.get("type").asString())
        .isEqualTo(
            "java.util.Map<java.lang.String,"
                + SingleFlightProperties.Instance.class.getName()
                + ">");
    assertThat(metadata.get("properties").valueStream())
        .extracting(property -> property.get("name").asString())
        .contains("singleflight.cache.enabled", "management.endpoint.singleflight.access");
    assertThat(metadata.get("properties").valueStream())
        .allSatisfy(property ->
            assertThat(property.path("description").asString()).as("%s", property).isNotBlank());
  }

  @Test
  void maxJoinAge_isTheInstances() {
    runner
        .withPropertyValues("singleflight.instances.customers.max-join-age=1ms")
        .run(context -> {
          SingleFlight<String, String> flights =
              context.getBean(SingleFlights.class).get("customers");
          CompletableFuture<String> stuck = new CompletableFuture<>();
          flights.callAsync("ada", key -> stuck);
          await().until(() -> flights.inFlight().get(0).age().compareTo(Duration.ofMillis(1)) > 0);
          assertThat(flights.callAsync("ada", key -> CompletableFuture.completedFuture("fresh")))
              .isCompletedWithValue("fresh");
          stuck.complete("late");
        });
  }

  @Test
  void freshness_isTheInstances() {
    runner
        .withPropertyValues("singleflight.instances.customers.freshness=next")
        .run(context -> {
          SingleFlight<String, String> flights =
              context.getBean(SingleFlights.class).get("customers");
          CompletableFuture<String> running = new CompletableFuture<>();
          CompletableFuture<String> first = flights.callAsync("ada", key -> running);
          CompletableFuture<String> next =
              flights.callAsync("ada", key -> CompletableFuture.completedFuture("newer"));
          running.complete("older");
          assertThat(Calls.get(first)).isEqualTo("older");
          assertThat(Calls.get(next)).isEqualTo("newer");
        });
  }

  @Test
  void executor_isTheBean() {
    runner
        .withBean("loaders", Executor.class, () -> task -> new Thread(task, "loader").start())
        .withPropertyValues("singleflight.instances.customers.executor=loaders")
        .run(context -> {
          SingleFlight<String, String> flights =
              context.getBean(SingleFlights.class).get("customers");
          assertThat(Calls.get(flights.submit("ada", key -> Thread.currentThread().getName())))
              .isEqualTo("loader");
        });
  }

  @Test
  void listeners_areTheBeans() {
    runner
        .withBean("one", FlightStats.class)
        .withBean("two", FlightStats.class)
        .withBean("other", FlightStats.class)
        .withPropertyValues("singleflight.instances.customers.listeners=one,two")
        .run(context -> {
          SingleFlight<String, String> flights =
              context.getBean(SingleFlights.class).get("customers");
          flights.call("ada", key -> "value");
          assertThat(started(context.getBean("one"))).isEqualTo(1);
          assertThat(started(context.getBean("two"))).isEqualTo(1);
          assertThat(started(context.getBean("other"))).isZero();
        });
  }

  private static long started(Object stats) {
    return ((FlightStats) stats).snapshot().started();
  }

  @Test
  void handOffOn_isTheFailuresOfTheseTypes() {
    runner
        .withPropertyValues(
            "singleflight.instances.customers.hand-off-on=java.io.IOException,java.lang.SecurityException")
        .run(context -> {
          SingleFlight<String, String> flights =
              context.getBean(SingleFlights.class).get("customers");
          CompletableFuture<String> denied = new CompletableFuture<>();
          CompletableFuture<String> leader = flights.callAsync("ada", key -> denied);
          CompletableFuture<String> follower =
              flights.callAsync("ada", key -> CompletableFuture.completedFuture("allowed"));
          denied.completeExceptionally(new SecurityException());
          assertThatThrownBy(() -> Calls.get(leader)).hasCauseInstanceOf(SecurityException.class);
          assertThat(Calls.get(follower)).isEqualTo("allowed");
        });
  }

  static class Injected {
    final SingleFlight<String, Integer> byName;
    final SingleFlight<Long, String> byQualifier;

    Injected(
        SingleFlight<String, Integer> customersSingleFlight,
        @Qualifier("orders") SingleFlight<Long, String> byQualifier) {
      this.byName = customersSingleFlight;
      this.byQualifier = byQualifier;
    }
  }

  @Test
  void instances_areBeans() {
    runner
        .withPropertyValues(
            "singleflight.instances.customers.max-followers=10",
            "singleflight.instances.orders.freshness=next")
        .withBean("customers", String.class, () -> "a bean of the application's own")
        .withBean(Injected.class)
        .run(context -> {
          Injected injected = context.getBean(Injected.class);
          SingleFlights instances = context.getBean(SingleFlights.class);
          assertThat((Object) injected.byName).isSameAs(instances.get("customers"));
          assertThat((Object) injected.byQualifier).isSameAs(instances.get("orders"));
          assertThat(context.getBeansOfType(SingleFlight.class)).hasSize(2);
        });
  }

  @Test
  void instance_ofUnknownName_hasTheDefaults() {
    runner.run(context -> {
      SingleFlights instances = context.getBean(SingleFlights.class);
      SingleFlight<String, String> one = instances.get("one");
      assertThat((Object) one).isSameAs(instances.get("one")).isNotSameAs(instances.get("two"));
      assertThatThrownBy(() -> instances.get(" ")).isInstanceOf(IllegalArgumentException.class);
    });
  }

  @Configuration(proxyBeanMethods = false)
  static class Customized {
    @Bean
    SingleFlightCustomizer customizer(FlightStats stats) {
      return (name, builder) -> {
        if (name.equals("customers")) {
          builder.listener((FlightListener<Object>) stats);
        }
      };
    }
  }

  @Test
  void customizer_isAskedForEachInstance() {
    runner
        .withBean(FlightStats.class)
        .withUserConfiguration(Customized.class)
        .run(context -> {
          SingleFlights instances = context.getBean(SingleFlights.class);
          instances.get("customers").call("key", key -> 1);
          instances.get("orders").call("key", key -> 1);
          assertThat(started(context.getBean(FlightStats.class))).isEqualTo(1);
        });
  }

  @Configuration(proxyBeanMethods = false)
  @ImportAutoConfiguration(SingleFlightAutoConfiguration.class)
  static class Application {
    @Bean
    CountDownLatch latch() {
      return new CountDownLatch(1);
    }

    @Bean
    FlightStats stats() {
      return new FlightStats();
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '^',
      textBlock =
          """
          customers.max-folowers=1                  | singleflight.instances.customers.max-folowers | There is no such option; there are [executor, freshness, max-join-age
          customers.max-followers=-1                | singleflight.instances.customers.max-followers | give zero or more
          customers.max-followers=many              | singleflight.instances.customers.max-followers | "many"
          customers.max-join-age=0s                 | singleflight.instances.customers.max-join-age | give more than zero
          customers.max-join-age=soon               | singleflight.instances.customers.max-join-age | 'soon' is not a valid duration
          customers.freshness=later                 | singleflight.instances.customers.freshness | NEXT
          customers.executor=nobody                 | singleflight.instances.customers.executor | not the name of a bean of type Executor
          customers.executor=latch                  | singleflight.instances.customers.executor | not the name of a bean of type Executor
          customers.listeners=nobody                | singleflight.instances.customers.listeners | not the name of a bean of type FlightListener
          customers.hand-off-on=no.such.Failure     | singleflight.instances.customers.hand-off-on | no.such.Failure
          customers.hand-off-on=java.lang.String    | singleflight.instances.customers.hand-off-on | is not a type of failure
          """)
  void property_thatIsWrong_failsTheStart(
      String property, String name, String reason, CapturedOutput output) {
    assertThatThrownBy(() -> run("--singleflight.instances." + property));
    assertThat(output).contains("APPLICATION FAILED TO START").contains(name).contains(reason);
    assertThat(output).doesNotContain("\tat ");
  }

  @Test
  void maxJoinAge_withFreshnessNext_failsTheStart(CapturedOutput output) {
    assertThatThrownBy(() ->
        run(
            "--singleflight.instances.customers.max-join-age=1s",
            "--singleflight.instances.customers.freshness=next"));
    assertThat(output)
        .contains("APPLICATION FAILED TO START")
        .contains("singleflight.instances.customers.max-join-age")
        .contains("leave one of the two out");
  }

  @Test
  void misspeltGroup_failsTheStart(CapturedOutput output) {
    assertThatThrownBy(() -> run("--singleflight.cache.enable=true"));
    assertThat(output)
        .contains("APPLICATION FAILED TO START")
        .contains("singleflight.cache.enable");
  }

  @ParameterizedTest
  @CsvSource({
    "systemProperties, singleflight.instances.customers.max-folowers",
    "systemEnvironment, SINGLEFLIGHT_INSTANCES_CUSTOMERS_MAXFOLOWERS",
    "systemEnvironment, SINGLEFLIGHT_INSTANCES_CUSTOMERS_MAX_FOLOWERS",
  })
  void misspeltProperty_ofTheSystem_failsTheStart(
      String source, String name, CapturedOutput output) {
    assertThatThrownBy(() -> runWith(source, Map.of(name, "1")));
    assertThat(output)
        .contains("APPLICATION FAILED TO START")
        .contains("singleflight.instances.customers.max")
        .contains("There is no such option");
  }

  @ParameterizedTest
  @CsvSource({
    "systemProperties, singleflight.instances.customers.listeners[0], stats",
    "systemEnvironment, SINGLEFLIGHT_INSTANCES_CUSTOMERS_MAXFOLLOWERS, 1",
    "systemEnvironment, SINGLEFLIGHT_INSTANCES_CUSTOMERS_MAX_FOLLOWERS, 1",
    "systemEnvironment, SINGLEFLIGHT_INSTANCES_CUSTOMERS_HANDOFFON_0_, java.lang.Exception",
    "systemEnvironment, SINGLEFLIGHT_INSTANCES_CUSTOMERS_LISTENERS_0, stats",
  })
  void property_ofTheSystem_isNoMistake(String source, String name, String value) {
    runWith(source, Map.of(name, value));
  }

  private static void runWith(String source, Map<String, Object> properties) {
    StandardEnvironment environment = new StandardEnvironment();
    environment
        .getPropertySources()
        .replace(
            source,
            source.equals(StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME)
                ? new SystemEnvironmentPropertySource(source, properties)
                : new PropertiesPropertySource(source, asProperties(properties)));
    new SpringApplicationBuilder(Application.class)
        .environment(environment)
        .web(WebApplicationType.NONE)
        .run()
        .close();
  }

  private static Properties asProperties(Map<String, Object> properties) {
    Properties all = new Properties();
    all.putAll(properties);
    return all;
  }

  @Test
  void misspeltProperty_ofALazyApplication_failsTheStart(CapturedOutput output) {
    assertThatThrownBy(() ->
        run(
            "--spring.main.lazy-initialization=true",
            "--singleflight.instances.customers.max-folowers=1"));
    assertThat(output).contains("singleflight.instances.customers.max-folowers");
  }

  private static void run(String... arguments) {
    new SpringApplicationBuilder(Application.class)
        .web(WebApplicationType.NONE)
        .run(arguments)
        .close();
  }
}
