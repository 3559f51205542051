package io.singleflight.examples.customers;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/** Holds every connection of the pool, so that no query starts until it is closed. */
final class HeldConnections implements AutoCloseable {
  private final List<Connection> held = new ArrayList<>();

  HeldConnections(CustomerDatabase customers) throws SQLException {
    for (int i = 0; i < CustomerDatabase.CONNECTIONS; i++) {
      held.add(customers.connection());
    }
  }

  @Override
  public void close() throws SQLException {
    for (Connection connection : held) {
      connection.close();
    }
    held.clear();
  }
}
