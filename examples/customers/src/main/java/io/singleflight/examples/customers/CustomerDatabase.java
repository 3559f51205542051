package io.singleflight.examples.customers;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLTimeoutException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.IntConsumer;

/** Customers and their orders in a SQL database. Safe for use by many threads. */
final class CustomerDatabase implements AutoCloseable {
  static final int CUSTOMERS = 1_000;
  static final int ORDERS = 100_000;
  static final int CONNECTIONS = 10;

  private static final int BATCH = 1_000;
  private static final long SEED = 42;

  /* What PostgreSQL's driver says of a timeout, in an exception of no particular kind. */
  private static final String QUERY_CANCELED = "57014";

  /* The rank makes the database add up every order, whoever is asked for. */
  private static final String FIGURES =
      """
      WITH totals AS (
        SELECT customer_id, COUNT(*) AS orders, SUM(cents) AS cents
        FROM singleflight_orders GROUP BY customer_id),
      ranked AS (
        SELECT customer_id, orders, cents, RANK() OVER (ORDER BY cents DESC) AS place FROM totals)
      SELECT c.id, c.name, r.orders, r.cents, r.place
      FROM singleflight_customers c JOIN ranked r ON r.customer_id = c.id
      WHERE c.name = ?
      """;

  private final HikariDataSource pool;
  private final int timeoutSeconds;
  private final LongAdder queries = new LongAdder();

  private CustomerDatabase(HikariDataSource pool, Duration deadline) {
    this.pool = pool;
    this.timeoutSeconds = (int) Math.max(1, deadline.plusMillis(999).toSeconds());
  }

  /**
   * Opens the database, and fills it if it is new.
   *
   * @param deadline the longest that a query, or the wait for a connection, may take
   * @param filled told how many of the {@link #ORDERS} are written; never told anything if the
   *     database was filled before
   */
  static CustomerDatabase open(String jdbcUrl, Duration deadline, IntConsumer filled)
      throws SQLException {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(jdbcUrl);
    config.setMaximumPoolSize(CONNECTIONS);
    config.setConnectionTimeout(Math.max(250, deadline.toMillis()));
    CustomerDatabase database = new CustomerDatabase(new HikariDataSource(config), deadline);
    try (Connection connection = database.pool.getConnection()) {
      createTables(connection);
      if (isEmpty(connection)) {
        fill(connection, filled);
      }
      return database;
    } catch (SQLException | RuntimeException e) {
      database.close();
      throw e;
    }
  }

  /**
   * The URL of an embedded database in that folder. Its file access survives interrupts, which
   * close H2's usual files, and it must not answer from a memory of earlier results.
   */
  static String embedded(Path folder) {
    return "jdbc:h2:async:"
        + folder.toAbsolutePath().resolve("customers")
        + ";OPTIMIZE_REUSE_RESULTS=0;CACHE_SIZE=65536";
  }

  /**
   * Runs the one slow query of this service.
   *
   * @throws java.sql.SQLTransientException if the database did not answer in time
   */
  Optional<Customer> find(String name) throws SQLException {
    try (Connection connection = pool.getConnection()) {
      queries.increment();
      try (PreparedStatement statement = connection.prepareStatement(FIGURES)) {
        statement.setQueryTimeout(timeoutSeconds);
        statement.setString(1, name);
        try (ResultSet row = statement.executeQuery()) {
          return row.next() ? Optional.of(customer(row)) : Optional.empty();
        }
      }
    } catch (SQLException e) {
      throw QUERY_CANCELED.equals(e.getSQLState())
          ? new SQLTimeoutException(e.getMessage(), e.getSQLState(), e)
          : e;
    }
  }

  /** How often {@link #find} has reached the database. */
  long queries() {
    return queries.sum();
  }

  /** For what is none of the service's business: tests that break the database on purpose. */
  Connection connection() throws SQLException {
    return pool.getConnection();
  }

  /** Product and version, as the database gives them. */
  String product() throws SQLException {
    try (Connection connection = pool.getConnection()) {
      var meta = connection.getMetaData();
      return meta.getDatabaseProductName()
          + " "
          + meta.getDatabaseProductVersion().replaceFirst(" .*", "");
    }
  }

  @Override
  public void close() {
    pool.close();
  }

  private static Customer customer(ResultSet row) throws SQLException {
    return new Customer(
        row.getLong(1),
        row.getString(2),
        row.getLong(3),
        row.getBigDecimal(4).movePointLeft(2),
        row.getLong(5));
  }

  private static void createTables(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute(
          """
          CREATE TABLE IF NOT EXISTS singleflight_customers (
            id BIGINT PRIMARY KEY, name VARCHAR(100) NOT NULL UNIQUE)
          """);
      statement.execute(
          """
          CREATE TABLE IF NOT EXISTS singleflight_orders (
            id BIGINT PRIMARY KEY, customer_id BIGINT NOT NULL, cents BIGINT NOT NULL)
          """);
    }
  }

  private static boolean isEmpty(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SELECT 1 FROM singleflight_customers LIMIT 1")) {
      return !row.next();
    }
  }

  /* One transaction: a fill that is cut short leaves nothing, and the next start fills again. */
  private static void fill(Connection connection, IntConsumer filled) throws SQLException {
    connection.setAutoCommit(false);
    SplittableRandom random = new SplittableRandom(SEED);
    try (PreparedStatement customer =
            connection.prepareStatement("INSERT INTO singleflight_customers VALUES (?, ?)");
        PreparedStatement order =
            connection.prepareStatement("INSERT INTO singleflight_orders VALUES (?, ?, ?)")) {
      for (int id = 1; id <= CUSTOMERS; id++) {
        customer.setLong(1, id);
        customer.setString(2, "customer-" + id);
        customer.addBatch();
      }
      customer.executeBatch();
      for (int id = 1; id <= ORDERS; id++) {
        order.setLong(1, id);
        order.setLong(2, random.nextLong(1, CUSTOMERS + 1));
        order.setLong(3, random.nextLong(1_00, 500_00));
        order.addBatch();
        if (id % BATCH == 0) {
          order.executeBatch();
          filled.accept(id);
        }
      }
      connection.commit();
    } catch (SQLException | RuntimeException e) {
      connection.rollback();
      throw e;
    } finally {
      connection.setAutoCommit(true);
    }
  }
}
