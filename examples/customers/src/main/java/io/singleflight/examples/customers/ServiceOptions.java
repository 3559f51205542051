package io.singleflight.examples.customers;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/** The database and the deadline, for every command. */
final class ServiceOptions {
  static final int MAX_PORT = 65_535;

  private static final int MAX_DEADLINE_SECONDS = 3_600;

  @Option(
      names = "--data",
      paramLabel = "FOLDER",
      defaultValue = "customers-data",
      description = "where the embedded database is kept (default: ./${DEFAULT-VALUE})")
  private Path data;

  @Option(
      names = "--jdbc-url",
      paramLabel = "URL",
      description =
          "another database: jdbc:postgresql://HOST/NAME?user=...&password=..."
              + " (it gets two tables, singleflight_customers and singleflight_orders)")
  private @Nullable String jdbcUrl;

  @Option(
      names = "--deadline",
      paramLabel = "SECONDS",
      defaultValue = "300",
      description = "how long a request may take before it gets 503 (default: ${DEFAULT-VALUE})")
  private int deadlineSeconds;

  @Option(names = "--help", usageHelp = true, description = "show this help")
  private boolean help;

  @Spec(Target.MIXEE)
  private CommandSpec command;

  @SuppressWarnings("NullAway.Init") // picocli sets the fields
  ServiceOptions() {}

  CustomerDatabase open() throws SQLException {
    requireRange("--deadline", deadlineSeconds, 1, MAX_DEADLINE_SECONDS);
    try (Filling filling = new Filling()) {
      return CustomerDatabase.open(
          jdbcUrl == null ? CustomerDatabase.embedded(data) : jdbcUrl,
          deadline(),
          filling::reached);
    } catch (SQLException | RuntimeException e) {
      throw new ParameterException(command.commandLine(), noDatabase(e), e);
    }
  }

  void requireRange(String option, int value, int min, int max) {
    if (value < min || value > max) {
      throw new ParameterException(
          command.commandLine(), option + "=" + value + " is not from " + min + " to " + max);
    }
  }

  private String noDatabase(Exception failure) {
    Throwable root = Main.root(failure);
    return jdbcUrl == null
        ? "The database in "
            + data
            + " cannot be opened. If it is already in use by another"
            + " process, end that one or give another folder with --data. ("
            + root
            + ")"
        : "The database at " + jdbcUrl + " cannot be opened; check --jdbc-url. (" + root + ")";
  }

  Duration deadline() {
    return Duration.ofSeconds(deadlineSeconds);
  }

  PrintWriter err() {
    return command.commandLine().getErr();
  }

  /* Told only if there is something to fill. */
  private final class Filling implements AutoCloseable {
    private @Nullable Progress progress;

    void reached(int orders) {
      if (progress == null) {
        progress = new Progress("Filling the database", CustomerDatabase.ORDERS, err());
        progress.stage(String.format(Locale.ROOT, "%,d orders", CustomerDatabase.ORDERS));
      }
      progress.stepTo(orders);
    }

    @Override
    public void close() {
      if (progress != null) {
        progress.close();
      }
    }
  }
}
