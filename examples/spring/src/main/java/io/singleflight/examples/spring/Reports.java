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
            select o.customer, count(*) as orders, median(o.amount + p.amount) as median
            from orders o join orders p on p.customer = o.customer and mod(p.id, 100) = mod(o.id, 100)
            where o.customer = ? group by o.customer
            """)
        .param(customer)
        .query(Report.class)
        .optional();
  }

  long queries() {
    return queries.get();
  }
}
