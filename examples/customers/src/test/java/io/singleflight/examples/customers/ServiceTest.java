package io.singleflight.examples.customers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Holds the service to its contract, in front of each database. */
class ServiceTest {

  @Nested
  class OnH2 extends ServiceContract {
    @TempDir private static Path folder;

    @Override
    String url() {
      return CustomerDatabase.embedded(folder);
    }
  }

  @Nested
  class OnPostgres extends ServiceContract {
    private final String url = Postgres.newDatabase();

    @Override
    String url() {
      return url;
    }

    /**
     * The driver tells of its statement's timeout by an exception of no particular kind. Whose
     * deadline is no later than the statement's hears of it first; whoever joined later does not.
     */
    @ParameterizedTest
    @ValueSource(ints = {1, 60})
    void customer_statementTimesOut_answers503ToLeaderAndFollower(int deadline) throws Exception {
      String path = "/customers?name=customer-1";
      try (CustomerDatabase hasty =
              CustomerDatabase.open(url, Duration.ofSeconds(1), orders -> {});
          Service service = Service.start(hasty, Duration.ofSeconds(deadline), 0);
          Log log = new Log()) {
        Client client = new Client(service);
        try (Connection locking = DriverManager.getConnection(url)) {
          lockOrders(locking);
          CompletableFuture<HttpResponse<String>> leader = client.send("GET", path);
          await().until(() -> queryWaits(locking) || leader.isDone());
          HttpResponse<String> follower = client.get(path);

          assertThat(leader.join().statusCode()).isEqualTo(503);
          assertThat(follower.statusCode()).isEqualTo(503);
          assertThat(follower.body()).contains("did not answer in time");
        }
        assertThat(client.get(path).statusCode()).isEqualTo(200);
        assertThat(log.text()).contains("WARN io.").doesNotContain("ERROR io.");
      }
    }

    private static void lockOrders(Connection locking) throws SQLException {
      locking.setAutoCommit(false);
      try (Statement statement = locking.createStatement()) {
        statement.execute("LOCK TABLE singleflight_orders IN ACCESS EXCLUSIVE MODE");
      }
    }

    private static boolean queryWaits(Connection any) throws SQLException {
      try (Statement statement = any.createStatement();
          ResultSet row =
              statement.executeQuery(
                  """
                  SELECT 1 FROM pg_locks
                  WHERE NOT granted AND relation = 'singleflight_orders'::regclass
                  """)) {
        return row.next();
      }
    }
  }
}
