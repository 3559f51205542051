package io.singleflight.spring.examples;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.FlightStats;
import io.singleflight.spring.CallerIdentity;
import io.singleflight.spring.SingleFlightAutoConfiguration;
import io.singleflight.spring.SingleFlights;
import io.singleflight.spring.examples.CustomerDatabase.Customer;
import io.singleflight.spring.examples.CustomerDatabase.Prices;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.aop.AopAutoConfiguration;
import org.springframework.boot.autoconfigure.context.PropertyPlaceholderAutoConfiguration;
import org.springframework.boot.autoconfigure.task.TaskExecutionAutoConfiguration;
import org.springframework.boot.test.context.runner.WebApplicationContextRunner;
import org.springframework.cache.CacheManager;
import org.springframework.cache.annotation.EnableCaching;
import org.springframework.cache.concurrent.ConcurrentMapCacheManager;
import org.springframework.context.annotation.Configuration;
import reactor.core.publisher.Mono;
import reactor.util.context.Context;

/**
 * The examples of the documentation. What stands between {@code // example} and {@code // end} is
 * shown there word for word, and its properties start an application that works.
 */
class SpringDocTest {

  private static final Path ROOT = Path.of("").toAbsolutePath().getParent();
  private static final Path PAGE = ROOT.resolve("docs/spring.md");
  private static final Pattern EXAMPLE = Pattern.compile("(?s) *// example\n(.*?)\n *// end\n");
  private static final Pattern JAVA = Pattern.compile("(?s)```java\n(.*?)```");
  private static final Pattern PROPERTIES = Pattern.compile("(?s)```properties\n(.*?)```");
  private static final Pattern JAVADOC = Pattern.compile("(?s)<pre>\\{@code\n(.*?)}</pre>");
  private static final Pattern PROPERTY_ROW = Pattern.compile("(?m)^\\| `([a-z-]+)` \\|");

  @Test
  void examples_ofTheDocumentation_areCompiled() {
    List<String> compiled = new ArrayList<>();
    for (Path source :
        files(ROOT.resolve("spring/src/test/java/io/singleflight/spring/examples"))) {
      blocks(EXAMPLE, read(source)).forEach(compiled::add);
    }
    List<String> shown = new ArrayList<>(blocks(JAVA, read(PAGE)));
    for (Path source : files(ROOT.resolve("spring/src/main/java"))) {
      shown.addAll(blocks(JAVADOC, read(source).replaceAll("(?m)^ *\\* ?", "")));
    }
    assertThat(shown).hasSizeGreaterThan(10).isSubsetOf(compiled);
  }

  @Configuration(proxyBeanMethods = false)
  @EnableCaching
  static class Application extends MoreCustomers.Beans {}

  @Test
  void properties_ofTheDocumentation_startAnApplication() {
    String properties = String.join("\n", blocks(PROPERTIES, read(PAGE)));
    new WebApplicationContextRunner()
        .withConfiguration(
            AutoConfigurations.of(
                AopAutoConfiguration.class,
                PropertyPlaceholderAutoConfiguration.class,
                TaskExecutionAutoConfiguration.class,
                SingleFlightAutoConfiguration.class))
        .withPropertyValues(properties.split("\n"))
        .withUserConfiguration(Application.class)
        .withBean(ConcurrentMapCacheManager.class)
        .withBean(CustomerDatabase.class)
        .withBean(CustomerService.class)
        .withBean("tenants", Tenants.class)
        .withBean(MoreCustomers.class)
        .withBean(MoreCustomers.Reactive.class)
        .withBean(MoreCustomers.Cached.class)
        .withBean(MoreCustomers.Orders.class)
        .run(context -> {
          assertThat(context).hasNotFailed().hasBean("singleFlightEndpoint");
          assertThat(context.getBean(CustomerService.class).find("ada"))
              .isEqualTo(new Customer(1, "ada"));
          MoreCustomers customers = context.getBean(MoreCustomers.class);
          assertThat(customers.find(7, "why").id()).isEqualTo(7);
          assertThat(customers.countries()).hasSize(1);
          assertThat(customers.prices().tenant()).isEqualTo("north");
          Mono<Prices> prices = context.getBean(MoreCustomers.Reactive.class).prices();
          assertThat(prices.contextWrite(Context.of("tenant", "south")).block())
              .isEqualTo(new Prices("south"));
          MoreCustomers.Cached cached = context.getBean(MoreCustomers.Cached.class);
          assertThat(cached.find("ada")).isSameAs(cached.find("ada"));
          assertThat((Object) context.getBean(MoreCustomers.Orders.class).customers)
              .isSameAs(context.getBean(SingleFlights.class).get("customers"));
          assertThat(context.getBean(FlightStats.class).snapshot().started()).isEqualTo(7);
          assertThat(context.getBean(CacheManager.class).getCacheNames())
              .containsExactly("customers");
          assertThat(context.getBeansOfType(CallerIdentity.class)).containsKey("tenant");
        });
  }

  @Test
  void properties_ofTheDocumentation_areAll() throws ClassNotFoundException {
    List<String> rows =
        PROPERTY_ROW.matcher(read(PAGE)).results().map(row -> row.group(1)).toList();
    Class<?> instance = Class.forName("io.singleflight.spring.SingleFlightProperties$Instance");
    assertThat(rows)
        .containsExactlyInAnyOrderElementsOf(
            Stream.of(instance.getRecordComponents())
                .map(option -> option.getName().replaceAll("([A-Z])", "-$1").toLowerCase())
                .toList());
  }

  private static List<String> blocks(Pattern pattern, String text) {
    return pattern
        .matcher(text)
        .results()
        .map(block -> block.group(1).stripTrailing().stripIndent().strip())
        .toList();
  }

  private static List<Path> files(Path directory) {
    try (Stream<Path> walk = Files.walk(directory)) {
      return walk.filter(file -> file.getFileName().toString().endsWith(".java")).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file).replace("\r\n", "\n");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
