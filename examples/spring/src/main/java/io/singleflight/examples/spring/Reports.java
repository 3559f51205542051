package io.singleflight.examples.spring;

import io.singleflight.spring.SharedCall;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Service;

/** Reports that cost the database real work. */
@Service
public class Reports {

  private static final Logger LOG = LoggerFactory.getLogger(Reports.class);

  private final JdbcClient database;
  private final AtomicLong queries = new AtomicLong();

  Reports(JdbcClient database) {
    this.database = database;
  }

  /**
   * Computes the report of a customer; all who ask meanwhile get the same one.
   *
   * @param customer the customer
   * @return the report, or nothing if there is no such customer
   */
  @SharedCall(name = "reports", identity = SharedCall.EVERYONE)
  public Optional<Report> of(String customer) {
    LOG.info("query {}: {}", queries.incrementAndGet(), customer);
    return database
        .sql(
            """
            select customer, count(*) as orders, median(amount) as median
            from orders where customer = ? group by customer
            """)
        .param(customer)
        .query(Report.class)
        .optional();
  }

  long queries() {
    return queries.get();
  }
}
