package io.singleflight.spring;

import static io.singleflight.spring.Calls.get;
import static io.singleflight.spring.Held.awaitCallers;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.FlightStats;
import jakarta.validation.ConstraintViolationException;
import jakarta.validation.constraints.NotBlank;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.aop.framework.ProxyFactory;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.aop.AopAutoConfiguration;
import org.springframework.boot.jdbc.autoconfigure.DataSourceAutoConfiguration;
import org.springframework.boot.jdbc.autoconfigure.DataSourceTransactionManagerAutoConfiguration;
import org.springframework.boot.jdbc.autoconfigure.JdbcTemplateAutoConfiguration;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.transaction.autoconfigure.TransactionAutoConfiguration;
import org.springframework.boot.transaction.autoconfigure.TransactionManagerCustomizationAutoConfiguration;
import org.springframework.boot.validation.autoconfigure.ValidationAutoConfiguration;
import org.springframework.cache.annotation.Cacheable;
import org.springframework.cache.annotation.EnableCaching;
import org.springframework.cache.concurrent.ConcurrentMapCacheManager;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.resilience.annotation.ConcurrencyLimit;
import org.springframework.resilience.annotation.EnableResilientMethods;
import org.springframework.resilience.annotation.Retryable;
import org.springframework.scheduling.annotation.Async;
import org.springframework.scheduling.annotation.EnableAsync;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.access.prepost.PreAuthorize;
import org.springframework.security.authentication.TestingAuthenticationToken;
import org.springframework.security.authorization.method.AuthorizationManagerBeforeMethodInterceptor;
import org.springframework.security.config.annotation.method.configuration.EnableMethodSecurity;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.core.context.SecurityContextImpl;
import org.springframework.transaction.TransactionExecution;
import org.springframework.transaction.TransactionExecutionListener;
import org.springframework.transaction.annotation.EnableTransactionManagement;
import org.springframework.transaction.annotation.Transactional;
import org.springframework.validation.annotation.Validated;

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

  static class GuardedInTransaction {
    private final Held held;

    GuardedInTransaction(Held held) {
      this.held = held;
    }

    @SharedCall(identity = SharedCall.EVERYONE)
    @PreAuthorize("hasRole('ADMIN')")
    @Transactional
    public String secret() throws InterruptedException {
      return held.perform("secret");
    }
  }

  static class GuardedElsewhere {

    @SharedCall(identity = SharedCall.EVERYONE)
    @Transactional
    public String known() {
      return "known";
    }

    @PreAuthorize("hasRole('ADMIN')")
    public String secret() {
      return "secret";
    }
  }

  @Validated
  static class Validating {
    private final Held held;

    Validating(Held held) {
      this.held = held;
    }

    @SharedCall(key = "#id")
    @Transactional
    public String find(long id, @NotBlank String reason) throws InterruptedException {
      return held.perform("found");
    }
  }

  static class Limited {
    private final Held held;

    Limited(Held held) {
      this.held = held;
    }

    @SharedCall
    @ConcurrencyLimit(2)
    public String find(long id) throws InterruptedException {
      return held.perform("found");
    }
  }

  static class Asynchronous {
    private final Held held;

    Asynchronous(Held held) {
      this.held = held;
    }

    @Async
    @SharedCall
    public CompletableFuture<String> find() throws InterruptedException {
      return CompletableFuture.completedFuture(held.perform(Thread.currentThread().getName()));
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

  @Configuration(proxyBeanMethods = false)
  @EnableTransactionManagement(order = 0)
  @EnableMethodSecurity
  static class SecurityInsideTransactions {}

  @Configuration(proxyBeanMethods = false)
  @EnableAsync
  static class Asynchrony {}

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
          var admin = calls.start(() -> as("ROLE_ADMIN", guarded::secret));
          held.awaitBegun(1);
          var user = calls.start(() -> as("ROLE_USER", guarded::secret));
          assertThatThrownBy(() -> get(user))
              .isInstanceOf(ExecutionException.class)
              .hasCauseInstanceOf(AccessDeniedException.class);
          assertThat(Held.callers(context.getBean(SingleFlights.class), "default")).isEqualTo(1);
          held.open();
          assertThat(get(admin)).isEqualTo("secret");
        });
  }

  @Test
  void sharing_ofATransaction_isInsideMethodSecurity() {
    runner
        .withUserConfiguration(Security.class)
        .withBean(GuardedInTransaction.class)
        .run(context -> {
          GuardedInTransaction guarded = context.getBean(GuardedInTransaction.class);
          Held held = context.getBean(Held.class);
          var admin = calls.start(() -> as("ROLE_ADMIN", guarded::secret));
          held.awaitBegun(1);
          var user = calls.start(() -> as("ROLE_USER", guarded::secret));
          assertThatThrownBy(() -> get(user)).hasCauseInstanceOf(AccessDeniedException.class);
          held.open();
          assertThat(get(admin)).isEqualTo("secret");
        });
  }

  @Test
  void securityInsideTransactions_failsTheStart() {
    runner
        .withUserConfiguration(SecurityInsideTransactions.class)
        .withBean(GuardedInTransaction.class)
        .run(context ->
            assertThat(context)
                .getFailure()
                .rootCause()
                .isInstanceOf(InvalidSharedCallException.class)
                .hasMessageContaining("GuardedInTransaction.secret")
                .hasMessageContaining("not authorized")
                .hasMessageContaining("@EnableTransactionManagement"));
  }

  @Test
  void securityInsideTransactions_ofOtherMethods_starts() {
    runner
        .withUserConfiguration(SecurityInsideTransactions.class)
        .withBean(GuardedElsewhere.class)
        .run(context ->
            assertThat(context.getBean(GuardedElsewhere.class).known()).isEqualTo("known"));
  }

  @Test
  void sharing_aroundABeanThatIsSecuredByItself_failsTheStart() {
    ProxyFactory secured = new ProxyFactory(new Guarded(new Held()));
    secured.setProxyTargetClass(true);
    secured.addAdvisor(AuthorizationManagerBeforeMethodInterceptor.preAuthorize());
    secured.setFrozen(true);
    Guarded frozen = (Guarded) secured.getProxy();
    runner
        .withBean("frozen", Guarded.class, () -> frozen)
        .run(context ->
            assertThat(context).getFailure().rootCause().hasMessageContaining("not authorized"));
  }

  @Test
  void sharing_isInsideValidation() {
    runner
        .withConfiguration(AutoConfigurations.of(ValidationAutoConfiguration.class))
        .withBean(Validating.class)
        .run(context -> {
          Validating validating = context.getBean(Validating.class);
          Held held = context.getBean(Held.class);
          var valid = calls.start(() -> validating.find(1, "because"));
          held.awaitBegun(1);
          var invalid = calls.start(() -> validating.find(1, " "));
          assertThatThrownBy(() -> get(invalid))
              .hasCauseInstanceOf(ConstraintViolationException.class);
          held.open();
          assertThat(get(valid)).isEqualTo("found");
        });
  }

  @Test
  void sharing_isOutsideConcurrencyLimits_soThatOnlyInvocationsCount() {
    runner
        .withUserConfiguration(Retries.class)
        .withBean(Limited.class)
        .run(context -> {
          Limited limited = context.getBean(Limited.class);
          SingleFlights instances = context.getBean(SingleFlights.class);
          Held held = context.getBean(Held.class);
          List<Future<String>> herd = new ArrayList<>();
          for (int i = 0; i < 10; i++) {
            herd.add(calls.start(() -> limited.find(1)));
          }
          awaitCallers(instances, "default", 10);
          herd.add(calls.start(() -> limited.find(2)));
          herd.add(calls.start(() -> limited.find(3)));
          awaitCallers(instances, "default", 12);
          held.awaitBegun(2);
          held.open();
          for (Future<String> one : herd) {
            assertThat(get(one)).isEqualTo("found");
          }
          assertThat(held.begun).hasValue(3);
        });
  }

  @Test
  void sharing_isInsideAsync_onTheThreadsOfItsExecutor() {
    runner
        .withUserConfiguration(Asynchrony.class)
        .withBean(
            "taskExecutor", Executor.class, () -> task -> new Thread(task, "asynchronous").start())
        .withBean(Asynchronous.class)
        .run(context -> {
          Asynchronous asynchronous = context.getBean(Asynchronous.class);
          Held held = context.getBean(Held.class);
          var one = asynchronous.find();
          var two = asynchronous.find();
          awaitCallers(context.getBean(SingleFlights.class), "default", 2);
          held.open();
          assertThat(get(one)).isEqualTo("asynchronous").isSameAs(get(two));
          assertThat(held.begun).hasValue(1);
        });
  }

  private static String as(String role, Callable<String> call) throws Exception {
    SecurityContextHolder.setContext(
        new SecurityContextImpl(new TestingAuthenticationToken("ada", "", role)));
    try {
      return call.call();
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
