package io.singleflight.spring;

import static io.singleflight.spring.Calls.get;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.jdbc.autoconfigure.DataSourceAutoConfiguration;
import org.springframework.boot.jdbc.autoconfigure.DataSourceTransactionManagerAutoConfiguration;
import org.springframework.boot.jdbc.autoconfigure.JdbcTemplateAutoConfiguration;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.transaction.autoconfigure.TransactionAutoConfiguration;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.TransactionDefinition;
import org.springframework.transaction.reactive.AbstractReactiveTransactionManager;
import org.springframework.transaction.reactive.GenericReactiveTransaction;
import org.springframework.transaction.reactive.TransactionSynchronizationManager;
import org.springframework.transaction.reactive.TransactionalOperator;
import org.springframework.transaction.support.TransactionTemplate;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** A caller in a transaction shares with nobody: what it sees is not for others. */
class AmbientTransactionTest {

  @RegisterExtension final Calls calls = new Calls();

  static class Rows {
    private final JdbcTemplate database;
    private final Held held;

    Rows(JdbcTemplate database, Held held) {
      this.database = database;
      this.held = held;
      database.execute("create table rows_of_test (id int)");
    }

    void insert() {
      database.update("insert into rows_of_test values (1)");
    }

    @SharedCall(timeout = "1m")
    public long count() throws InterruptedException {
      return held.perform(database.queryForObject("select count(*) from rows_of_test", Long.class));
    }
  }

  private final ApplicationContextRunner database =
      new ApplicationContextRunner()
          .withConfiguration(
              AutoConfigurations.of(
                  DataSourceAutoConfiguration.class,
                  DataSourceTransactionManagerAutoConfiguration.class,
                  JdbcTemplateAutoConfiguration.class,
                  TransactionAutoConfiguration.class,
                  SingleFlightAutoConfiguration.class))
          .withPropertyValues("spring.datasource.generate-unique-name=true")
          .withBean(Held.class)
          .withBean(Rows.class);

  @Test
  void callInATransaction_thatIsRolledBack_isSeenByNobody() {
    database.run(context -> {
      Rows rows = context.getBean(Rows.class);
      Held held = context.getBean(Held.class);
      TransactionTemplate transaction =
          new TransactionTemplate(context.getBean(PlatformTransactionManager.class));
      var writer =
          calls.start(() ->
              transaction.execute(status -> {
                rows.insert();
                status.setRollbackOnly();
                return count(rows);
              }));
      held.awaitBegun(1);
      assertThat(Held.callers(context.getBean(SingleFlights.class), "default")).isZero();
      var reader = calls.start(rows::count);
      held.awaitBegun(2);
      held.open();
      assertThat(get(writer)).as("what it wrote itself").isEqualTo(1);
      assertThat(get(reader)).isZero();
    });
  }

  @Test
  void callInATransaction_seesWhatItWrote_whateverIsInFlight() {
    database.run(context -> {
      Rows rows = context.getBean(Rows.class);
      Held held = context.getBean(Held.class);
      TransactionTemplate transaction =
          new TransactionTemplate(context.getBean(PlatformTransactionManager.class));
      var reader = calls.start(rows::count);
      held.awaitBegun(1);
      var writer =
          calls.start(() ->
              transaction.execute(status -> {
                rows.insert();
                return count(rows);
              }));
      held.awaitBegun(2);
      held.open();
      assertThat(get(writer)).isEqualTo(1);
      assertThat(get(reader)).isZero();
    });
  }

  private static long count(Rows rows) {
    try {
      return rows.count();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  static class ReactiveRows {
    final AtomicInteger invoked = new AtomicInteger();
    final Sinks.Empty<Void> gate = Sinks.empty();

    @SharedCall
    public Mono<Integer> one() {
      return gate.asMono().thenReturn(invoked.incrementAndGet());
    }

    @SharedCall
    public Flux<Integer> many() {
      return gate.asMono().thenMany(Flux.just(invoked.incrementAndGet()));
    }
  }

  /** Transactions of nothing. */
  @SuppressWarnings("serial")
  static class Transactions extends AbstractReactiveTransactionManager {
    final transient Queue<String> log = new ConcurrentLinkedQueue<>();

    @Override
    protected Object doGetTransaction(TransactionSynchronizationManager synchronization) {
      return new Object();
    }

    @Override
    protected Mono<Void> doBegin(
        TransactionSynchronizationManager synchronization,
        Object transaction,
        TransactionDefinition definition) {
      return Mono.fromRunnable(() -> log.add("begin"));
    }

    @Override
    protected Mono<Void> doCommit(
        TransactionSynchronizationManager synchronization, GenericReactiveTransaction status) {
      return Mono.fromRunnable(() -> log.add("commit"));
    }

    @Override
    protected Mono<Void> doRollback(
        TransactionSynchronizationManager synchronization, GenericReactiveTransaction status) {
      return Mono.fromRunnable(() -> log.add("rollback"));
    }
  }

  @Test
  void subscriptionInATransaction_sharesWithNobody() {
    ReactiveRows target = new ReactiveRows();
    new ApplicationContextRunner()
        .withConfiguration(AutoConfigurations.of(SingleFlightAutoConfiguration.class))
        .withBean(ReactiveRows.class, () -> target)
        .run(context -> {
          ReactiveRows rows = context.getBean(ReactiveRows.class);
          TransactionalOperator transaction = TransactionalOperator.create(new Transactions());
          var writer = rows.one().as(transaction::transactional).toFuture();
          var reader = rows.one().toFuture();
          var readerToo = rows.one().toFuture();
          var writerOfMany = rows.many().as(transaction::transactional).collectList().toFuture();
          var readerOfMany = rows.many().collectList().toFuture();
          assertThat(Held.callers(context.getBean(SingleFlights.class), "default")).isEqualTo(3);
          target.gate.tryEmitEmpty();
          assertThat(get(writer)).isEqualTo(1);
          assertThat(get(reader)).isEqualTo(2).isEqualTo(get(readerToo));
          assertThat(get(writerOfMany)).containsExactly(3);
          assertThat(get(readerOfMany)).containsExactly(4);
        });
  }
}
