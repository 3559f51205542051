package io.singleflight.examples.customers;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

/** The command line, as a user runs it. */
@SuppressWarnings("try") // what is held is not used, only closed
class MainTest {
  private static final Pattern ROW =
      Pattern.compile(
          "(\\d+) names? +(on|off) +(\\d+) +(\\d+) +([\\d.]+) +[\\d.]+ m?s +[\\d.]+ m?s +[\\d.]+ m?s");
  private static final Pattern ADDRESS = Pattern.compile("Serving (http://\\S+)");

  @TempDir private static Path folder;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private final CommandLine commandLine =
      Main.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err));

  @Test
  void herd_withoutAndWithSharing_printsWhatReachedTheDatabase() {
    int exit = commandLine.execute("herd", "--requests", "60", "--data", folder.toString());

    assertThat(err.toString()).isEmpty();
    assertThat(exit).isZero();
    List<Row> rows = rows();
    assertThat(rows).extracting(Row::names).containsExactly(1, 1, 20, 20);
    assertThat(rows).extracting(Row::sharing).containsExactly("off", "on", "off", "on");
    assertThat(rows).extracting(Row::requests).containsOnly(60);
    assertThat(rows.get(0).queries()).isEqualTo(60);
    assertThat(rows.get(1).queries()).isBetween(1, 10);
    assertThat(rows.get(2).queries()).isEqualTo(60);
    assertThat(rows.get(3).queries()).isBetween(20, 60);
    assertThat(rows)
        .allSatisfy(row -> assertThat(row.ratio()).isEqualTo(ratio(row.requests(), row.queries())));
    assertThat(out.toString())
        .contains("sharing took the queries from 60 to " + rows.get(1).queries());
  }

  @Test
  void herd_thenServe_servesUntilInterrupted() throws Exception {
    AtomicInteger exit = new AtomicInteger(-1);
    Thread command =
        new Thread(() ->
            exit.set(
                commandLine.execute(
                    "herd", "--requests", "2", "--then-serve", "--data", folder.toString())));
    command.start();
    await()
        .atMost(Duration.ofSeconds(60))
        .until(() -> ADDRESS.matcher(out.toString()).find() || !command.isAlive());
    Matcher address = ADDRESS.matcher(out.toString());
    assertThat(address.find()).as(err.toString()).isTrue();

    int status =
        HttpClient.newHttpClient()
            .send(
                HttpRequest.newBuilder(URI.create(address.group(1) + "/customers?name=customer-1"))
                    .build(),
                BodyHandlers.discarding())
            .statusCode();
    command.interrupt();
    command.join();

    assertThat(status).isEqualTo(200);
  }

  @ParameterizedTest
  @CsvSource({
    "herd --requests 0, --requests=0 is not from 1 to 1000",
    "herd --requests 1001, --requests=1001 is not from 1 to 1000",
    "herd --requests many, many",
    "herd --port 65536, --port=65536 is not from 0 to 65535",
    "serve --port -1, --port=-1 is not from 0 to 65535",
    "serve --deadline 0, --deadline=0 is not from 1 to 3600",
    "serve --deadline 3601, --deadline=3601 is not from 1 to 3600",
    "serve --jdbc-url jdbc:nothing:here, jdbc:nothing:here",
    "serve --no-such-option, --no-such-option",
    "'', 'Say what to do: serve, or herd.'",
  })
  void command_badInput_saysWhatIsWrongAndFails(String arguments, String message) {
    int exit = commandLine.execute(arguments.isEmpty() ? new String[0] : arguments.split(" "));

    assertThat(exit).isPositive();
    assertThat(err.toString()).contains(message).doesNotContain("\tat ");
    assertThat(out.toString()).isEmpty();
  }

  @Test
  void serve_databaseOpenInAnotherProcess_saysSo(@TempDir Path data) throws Exception {
    try (var inUse =
        CustomerDatabase.open(
            CustomerDatabase.embedded(data), Duration.ofSeconds(60), orders -> {})) {
      Process other =
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "-cp",
                  System.getProperty("java.class.path"),
                  Main.class.getName(),
                  "serve",
                  "--data",
                  data.toString())
              .redirectErrorStream(true)
              .start();
      String said = new String(other.getInputStream().readAllBytes(), UTF_8);

      assertThat(other.waitFor()).isPositive();
      assertThat(said).contains(data.toString(), "already in use", "--data");
      assertThat(said).doesNotContain("\tat ");
    }
  }

  private List<Row> rows() {
    List<Row> rows = new ArrayList<>();
    Matcher row = ROW.matcher(out.toString());
    while (row.find()) {
      rows.add(
          new Row(
              Integer.parseInt(row.group(1)),
              row.group(2),
              Integer.parseInt(row.group(3)),
              Integer.parseInt(row.group(4)),
              row.group(5)));
    }
    return rows;
  }

  private static String ratio(int requests, int queries) {
    return String.format(java.util.Locale.ROOT, "%.1f", (double) requests / queries);
  }

  private record Row(int names, String sharing, int requests, int queries, String ratio) {}
}
