package io.singleflight.examples.customers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.math.BigDecimal;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The same customers in both databases, filled once. */
class CustomerDatabaseTest {
  private static final Duration DEADLINE = Duration.ofSeconds(60);

  @Test
  void open_embedded_fillsOnceAndAlike(@TempDir Path folder) throws SQLException {
    assertFilledOnceAndAlike(CustomerDatabase.embedded(folder), "H2");
  }

  @Test
  void open_postgres_fillsOnceAndAlike() throws SQLException {
    assertFilledOnceAndAlike(Postgres.newDatabase(), "PostgreSQL");
  }

  @Test
  void open_fillCutShort_fillsAgain(@TempDir Path folder) throws SQLException {
    String url = CustomerDatabase.embedded(folder);
    IllegalStateException cut = new IllegalStateException("cut short");
    assertThat(
            catchThrowable(() ->
                CustomerDatabase.open(
                    url,
                    DEADLINE,
                    orders -> {
                      throw cut;
                    })))
        .isSameAs(cut);

    assertFilledOnceAndAlike(url, "H2");
  }

  private static void assertFilledOnceAndAlike(String url, String product) throws SQLException {
    List<Integer> progress = new ArrayList<>();
    try (CustomerDatabase first = CustomerDatabase.open(url, DEADLINE, progress::add)) {
      assertThat(progress).isSorted().endsWith(CustomerDatabase.ORDERS);
      assertThat(first.product()).startsWith(product);
    }
    progress.clear();
    try (CustomerDatabase second = CustomerDatabase.open(url, DEADLINE, progress::add)) {
      assertThat(progress).isEmpty();
      assertThat(second.find("customer-1"))
          .contains(new Customer(1, "customer-1", 112, new BigDecimal("28922.77"), 88));
      assertThat(second.find("customer-1001")).isEmpty();
      assertThat(second.queries()).isEqualTo(2);
    }
  }
}
