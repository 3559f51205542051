package io.singleflight.spring;

import org.springframework.jdbc.core.simple.JdbcClient;

/** A real database, whose queries can be held. */
class CustomerDatabase {

  record Customer(long id, String name, long orders) {}

  /** Checked, so that it has to arrive as itself. */
  static class NoSuchCustomerException extends Exception {
    private static final long serialVersionUID = 1;

    NoSuchCustomerException(long id) {
      super("no customer " + id);
    }
  }

  final Held held;
  private final JdbcClient database;

  CustomerDatabase(JdbcClient database, Held held) {
    this.database = database;
    this.held = held;
    database.sql("create table customers (id bigint primary key, name varchar(20))").update();
    database.sql("create table orders (id bigint, customer bigint)").update();
    database.sql("insert into customers values (1, 'ada'), (2, 'charles')").update();
    database.sql("insert into orders select x, 1 + mod(x, 2) from system_range(1, 1000)").update();
  }

  Customer query(long id) throws NoSuchCustomerException, InterruptedException {
    held.perform(null);
    return database
        .sql(
            "select c.id, c.name, count(*) as orders from customers c"
                + " join orders o on o.customer = c.id where c.id = ? group by c.id, c.name")
        .param(id)
        .query(Customer.class)
        .optional()
        .orElseThrow(() -> new NoSuchCustomerException(id));
  }
}
