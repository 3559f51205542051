package io.singleflight.spring;

import static io.singleflight.spring.Calls.get;
import static io.singleflight.spring.Held.awaitCallers;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.FlightStats;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.aop.AopAutoConfiguration;
import org.springframework.boot.jdbc.autoconfigure.DataSourceAutoConfiguration;
import org.springframework.boot.jdbc.autoconfigure.DataSourceTransactionManagerAutoConfiguration;
import org.springframework.boot.jdbc.autoconfigure.JdbcTemplateAutoConfiguration;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.transaction.autoconfigure.TransactionAutoConfiguration;
import org.springframework.boot.transaction.autoconfigure.TransactionManagerCustomizationAutoConfiguration;
import org.springframework.cache.annotation.Cacheable;
import org.springframework.cache.annotation.EnableCaching;
import org.springframework.cache.concurrent.ConcurrentMapCacheManager;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.resilience.annotation.EnableResilientMethods;
import org.springframework.resilience.annotation.Retryable;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.access.prepost.PreAuthorize;
import org.springframework.security.authentication.TestingAuthenticationToken;
import org.springframework.security.config.annotation.method.configuration.EnableMethodSecurity;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.core.context.SecurityContextImpl;
import org.springframework.transaction.TransactionExecution;
import org.springframework.transaction.TransactionExecutionListener;
import org.springframework.transaction.annotation.EnableTransactionManagement;
import org.springframework.transaction.annotation.Transactional;

/** Sharing has its place among other advice: on a real database where it takes part. */
class AdviceOrderTest {

  @RegisterExtension final Calls calls = new Calls();

  private final ApplicationContextRunner runner =
      new ApplicationContextRunner()
          .withConfiguration(
              AutoConfigurations.of(
                  AopAutoConfiguration.class,
                  DataSourceAutoConfiguration.class,
                  DataSourceTransactionManagerAutoConfiguration.class,
                  JdbcTemplateAutoConfiguration.class,
                  TransactionAutoConfiguration.class,
                  TransactionManagerCustomizationAutoConfiguration.class,
                  SingleFlightAutoConfiguration.class))
          .withPropertyValues("spring.datasource.generate-unique-name=true")
          .withBean(Held.class)
          .withBean(FlightStats.class)
          .withBean(CopyOnWriteArrayList.class)
          .withBean(ConcurrentMapCacheManager.class);

  static class Service {
    private final Held held;
    private final JdbcTemplate database;

    Service(Held held, JdbcTemplate database) {
      this.held = held;
      this.database = database;
    }

    @SharedCall
    @Cacheable("customers")
    @Transactional
    public long cachedInTransaction(long id) throws InterruptedException {
      held.perform(null);
      database.update("insert into calls values (?)", id);
      return count();
    }

    long count() {
      return database.queryForObject("select count(*) from calls", Long.class);
    }
  }

  static class Guarded {
    private final Held held;

    Guarded(Held held) {
      this.held = held;
    }

    @SharedCall(identity = SharedCall.EVERYONE)
    @PreAuthorize("hasRole('ADMIN')")
    public String secret() throws InterruptedException {
      return held.perform("secret");
    }
  }

  static class Flaky {
    final Held first = new Held();
    final Held second = new Held();

    @SharedCall
    @Retryable(maxRetries = 1, delay = 0)
    public String call() throws InterruptedException {
      if (second.begun.get() == 0 && first.begun.get() == 0) {
        first.perform(null);
        throw new IllegalStateException("the first time");
      }
      return second.perform("the second time");
    }
  }

  @Configuration(proxyBeanMethods = false)
  static class Beans {
    @Bean
    Service service(Held held, JdbcTemplate database) {
      database.execute("create table calls (id bigint)");
      return new Service(held, database);
    }

    @Bean
    SingleFlightCustomizer counting(FlightStats stats) {
      return (name, builder) -> builder.listener(stats);
    }

    @Bean
    TransactionExecutionListener transactions(CopyOnWriteArrayList<String> log) {
      return new TransactionExecutionListener() {
        @Override
        public void afterBegin(TransactionExecution transaction, Throwable failure) {
          log.add("begin");
        }

        @Override
        public void afterCommit(TransactionExecution transaction, Throwable failure) {
          log.add("commit");
        }
      };
    }
  }

  @Configuration(proxyBeanMethods = false)
  @EnableCaching
  static class CacheFirst {}

  @Configuration(proxyBeanMethods = false)
  @EnableTransactionManagement
  static class TransactionFirst {
    @Configuration(proxyBeanMethods = false)
    @EnableCaching
    static class CacheLater {}
  }

  @Configuration(proxyBeanMethods = false)
  @EnableTransactionManagement(order = 1)
  @EnableCaching(order = 2)
  static class TransactionOutside {}

  @Configuration(proxyBeanMethods = false)
  @EnableMethodSecurity
  static class Security {}

  @Configuration(proxyBeanMethods = false)
  @EnableResilientMethods
  static class Retries {}

  @ParameterizedTest
  @ValueSource(classes = {CacheFirst.class, TransactionFirst.class})
  void sharing_isInsideTheCacheAndOutsideTheTransaction(Class<?> configuration) {
    ApplicationContextRunner configured =
        configuration == CacheFirst.class
            ? runner.withUserConfiguration(CacheFirst.class)
            : runner
                .withUserConfiguration(TransactionFirst.class)
                .withUserConfiguration(TransactionFirst.CacheLater.class);
    configured
        .withUserConfiguration(Beans.class)
        .run(context -> {
          Service service = context.getBean(Service.class);
          Held held = context.getBean(Held.class);
          FlightStats stats = context.getBean(FlightStats.class);
          List<?> log = context.getBean(CopyOnWriteArrayList.class);
          var leader = calls.start(() -> service.cachedInTransaction(1));
          held.awaitBegun(1);
          var follower =
              calls.start(() -> service.cachedInTransaction(1) + " then " + service.count());
          awaitCallers(context.getBean(SingleFlights.class), "default", 2);
          held.open();
          assertThat(get(leader)).isEqualTo(1);
          assertThat(get(follower))
              .as("the follower sees what was committed")
              .isEqualTo("1 then 1");
          assertThat(log.toString()).isEqualTo("[begin, commit]");

          assertThat(service.cachedInTransaction(1)).isEqualTo(1);
          assertThat(stats.snapshot().started()).as("a hit needs no flight").isEqualTo(1);
        });
  }

  @Test
  void sharing_isOutsideATransactionThatIsOrderedOutsideTheCache() {
    runner
        .withUserConfiguration(TransactionOutside.class, Beans.class)
        .run(context -> {
          Service service = context.getBean(Service.class);
          context.getBean(Held.class).open();
          List<?> log = context.getBean(CopyOnWriteArrayList.class);
          service.cachedInTransaction(1);
          service.cachedInTransaction(1);
          assertThat(log.toString()).isEqualTo("[begin, commit, begin, commit]");
          assertThat(service.count()).isEqualTo(1);
          assertThat(context.getBean(FlightStats.class).snapshot().started()).isEqualTo(2);
        });
  }

  @Test
  void sharing_isInsideMethodSecurity() {
    runner
        .withUserConfiguration(Security.class)
        .withBean(Guarded.class)
        .run(context -> {
          Guarded guarded = context.getBean(Guarded.class);
          Held held = context.getBean(Held.class);
          var admin = calls.start(() -> as("ROLE_ADMIN", guarded));
          held.awaitBegun(1);
          var user = calls.start(() -> as("ROLE_USER", guarded));
          assertThatThrownBy(() -> get(user))
              .isInstanceOf(ExecutionException.class)
              .hasCauseInstanceOf(AccessDeniedException.class);
          assertThat(Held.callers(context.getBean(SingleFlights.class), "default")).isEqualTo(1);
          held.open();
          assertThat(get(admin)).isEqualTo("secret");
        });
  }

  private static String as(String role, Guarded guarded) throws InterruptedException {
    SecurityContextHolder.setContext(
        new SecurityContextImpl(new TestingAuthenticationToken("ada", "", role)));
    try {
      return guarded.secret();
    } finally {
      SecurityContextHolder.clearContext();
    }
  }

  @Test
  void sharing_isInsideRetries_soThatEachAttemptIsShared() {
    runner
        .withUserConfiguration(Retries.class)
        .withBean(Flaky.class)
        .run(context -> {
          Flaky flaky = context.getBean(Flaky.class);
          Flaky target =
              (Flaky)
                  ((org.springframework.aop.framework.Advised) flaky).getTargetSource().getTarget();
          SingleFlights instances = context.getBean(SingleFlights.class);
          var one = calls.start(flaky::call);
          var two = calls.start(flaky::call);
          awaitCallers(instances, "default", 2);
          target.first.open();
          target.second.awaitBegun(1);
          awaitCallers(instances, "default", 2);
          target.second.open();
          assertThat(get(one)).isEqualTo("the second time").isSameAs(get(two));
          assertThat(target.first.begun).hasValue(1);
          assertThat(target.second.begun).hasValue(1);
        });
  }
}
