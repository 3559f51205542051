package io.singleflight.examples.customers;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

/** The command line, as a user runs it. Its watchdog leaves a busy machine the time for herds. */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
@SuppressWarnings("try") // what is held is not used, only closed
class MainTest {
  private static final Pattern ROW =
      Pattern.compile(
          "(\\d+) names? +(on|off) +(\\d+) +(\\d+) +([\\d.]+) +[\\d.]+ m?s +([\\d.]+) (m?)s +[\\d.]+ m?s");
  private static final Pattern ADDRESS = Pattern.compile("Serving (http://\\S+)");

  @TempDir private static Path folder;
  private static String postgres;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private final CommandLine commandLine =
      Main.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err));

  @BeforeAll
  static void startPostgres() {
    postgres = Postgres.newDatabase();
  }

  /** What the README promises of its first command; in figures of one run only. */
  @Test
  void herd_defaultSize_sharingSavesQueriesAndTime() {
    int exit = commandLine.execute("herd", "--data", folder.toString());

    assertThat(exit).isZero();
    List<Row> rows = rows();
    assertComparesHerdsOf(500, rows);
    Row without = rows.get(0);
    Row with = rows.get(1);
    assertThat(500.0 / with.queries()).as(out.toString()).isGreaterThanOrEqualTo(50);
    assertThat(without.p99Millis() / with.p99Millis()).as(out.toString()).isGreaterThan(5);
    assertThat(out.toString())
        .contains("queries from 500 to " + with.queries() + " and made p99 ")
        .contains("each costs H2 ")
        .doesNotContain("NOT COMPARABLE");
  }

  @Test
  void herd_postgres_comparesTheSameHerds() {
    int exit = commandLine.execute("herd", "--requests", "60", "--jdbc-url", postgres);

    assertThat(exit).isZero();
    assertComparesHerdsOf(60, rows());
    assertThat(out.toString()).contains("each costs PostgreSQL 18.");
  }

  @Test
  void herd_thenServe_servesUntilInterrupted() throws Exception {
    assertServesUntilInterrupted(
        "herd", "--requests", "2", "--then-serve", "--data", folder.toString());
  }

  @Test
  void serve_postgres_servesUntilInterrupted() throws Exception {
    assertServesUntilInterrupted("serve", "--port", "0", "--jdbc-url", postgres);
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
      Process other = start(java("serve", "--data", data.toString()));
      String said = new String(other.getInputStream().readAllBytes(), UTF_8);

      assertThat(other.waitFor()).isPositive();
      assertThat(said).contains(data.toString(), "already in use", "--data");
      assertThat(said).doesNotContain("\tat ");
    }
  }

  @Test
  void progress_outputIsNoTerminal_isALineForEachStage(@TempDir Path data) throws Exception {
    Process herd = start(java("herd", "--requests", "2", "--data", data.toString()));
    String said = new String(herd.getInputStream().readAllBytes(), UTF_8);

    assertThat(herd.waitFor()).isZero();
    assertThat(said.lines())
        .startsWith(
            "Filling the database: 100,000 orders",
            "Herds: warming up",
            "Herds: 1 name, sharing off",
            "Herds: 1 name, sharing on",
            "Herds: 20 names, sharing off",
            "Herds: 20 names, sharing on",
            "");
    assertThat(said.lines()).noneMatch(line -> line.chars().anyMatch(Character::isISOControl));
  }

  /** {@code script} gives the process a terminal. */
  @Test
  void progress_outputIsATerminal_isABar(@TempDir Path data) throws Exception {
    Assumptions.assumeTrue(Files.isExecutable(Path.of("/usr/bin/script")), "no script(1) here");
    String herd = String.join(" ", java("herd", "--requests", "2", "--data", data.toString()));
    Process terminal = start(List.of("script", "-qec", herd, "/dev/null"));
    String said = new String(terminal.getInputStream().readAllBytes(), UTF_8);

    assertThat(terminal.waitFor()).isZero();
    assertThat(said)
        .containsPattern("\\rFilling the database +100% \\[=+] 100000/100000 ")
        .containsPattern("\\rHerds +0% \\[ +] +0/8 .* warming up")
        .containsPattern("\\rHerds +100% \\[=+] +8/8 .* 20 names, sharing on")
        .contains("On one hot name");
  }

  private static List<String> java(String... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
    command.addAll(List.of(arguments));
    return command;
  }

  private static Process start(List<String> command) throws IOException {
    ProcessBuilder process = new ProcessBuilder(command).redirectErrorStream(true);
    process.environment().put("TERM", "xterm");
    return process.start();
  }

  private void assertServesUntilInterrupted(String... arguments) throws Exception {
    Thread command = new Thread(() -> commandLine.execute(arguments));
    command.start();
    await()
        .atMost(Duration.ofMinutes(5))
        .until(() -> ADDRESS.matcher(out.toString()).find() || !command.isAlive());
    Matcher address = ADDRESS.matcher(out.toString());
    assertThat(address.find()).as(err.toString()).isTrue();

    HttpResponse<String> customer =
        HttpClient.newHttpClient()
            .send(
                HttpRequest.newBuilder(URI.create(address.group(1) + "/customers?name=customer-1"))
                    .build(),
                BodyHandlers.ofString());
    command.interrupt();
    command.join();

    assertThat(customer.statusCode()).isEqualTo(200);
    assertThat(customer.body()).contains("\"revenue\":28922.77");
  }

  private static void assertComparesHerdsOf(int requests, List<Row> rows) {
    assertThat(rows).extracting(Row::names).containsExactly(1, 1, 20, 20);
    assertThat(rows).extracting(Row::sharing).containsExactly("off", "on", "off", "on");
    assertThat(rows).extracting(Row::requests).containsOnly(requests);
    assertThat(rows.get(0).queries()).isEqualTo(requests);
    assertThat(rows.get(1).queries()).isBetween(1, requests - 1);
    assertThat(rows.get(2).queries()).isEqualTo(requests);
    assertThat(rows.get(3).queries()).isBetween(20, requests - 1);
    assertThat(rows)
        .allSatisfy(row -> assertThat(row.ratio()).isEqualTo(ratio(row.requests(), row.queries())));
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
              row.group(5),
              Double.parseDouble(row.group(6)) * (row.group(7).isEmpty() ? 1_000 : 1)));
    }
    return rows;
  }

  private static String ratio(int requests, int queries) {
    return String.format(Locale.ROOT, "%.1f", (double) requests / queries);
  }

  private record Row(
      int names, String sharing, int requests, int queries, String ratio, double p99Millis) {}
}
