package io.singleflight.examples.customers;

import io.singleflight.examples.customers.Herd.Result;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Sends the same herds without and with sharing, and prints what they met side by side. */
@Command(
    name = "herd",
    description = "Sends the same herds without and with sharing, and compares them.")
final class HerdCommand implements Callable<Integer> {
  private static final List<Integer> NAMES = List.of(1, 20);

  @Mixin private ServiceOptions options;

  @Option(
      names = "--requests",
      paramLabel = "N",
      defaultValue = "500",
      description = "how many requests a herd sends at once (default: ${DEFAULT-VALUE})")
  private int requests;

  @Option(names = "--then-serve", description = "go on as serve does, on the same port")
  private boolean thenServe;

  @Option(
      names = "--port",
      paramLabel = "PORT",
      defaultValue = "0",
      description = "where the service runs (default: a free port)")
  private int port;

  @Spec private CommandSpec spec;

  @SuppressWarnings("NullAway.Init") // picocli sets the fields
  HerdCommand() {}

  @Override
  public Integer call() throws Exception {
    options.requireRange("--requests", requests, 1, Herd.MAX_REQUESTS);
    options.requireRange("--port", port, 0, ServiceOptions.MAX_PORT);
    PrintWriter out = spec.commandLine().getOut();
    try (CustomerDatabase customers = options.open();
        Service service = Service.start(customers, options.deadline(), port)) {
      List<Result> results = herds(new Herd(service.uri(), customers::queries));
      out.printf(
          "%n%d requests at once over HTTP; each costs %s one query over %,d orders;"
              + " %d connections, %d cores%n%n",
          requests,
          customers.product(),
          CustomerDatabase.ORDERS,
          CustomerDatabase.CONNECTIONS,
          Runtime.getRuntime().availableProcessors());
      print(results, out);
      if (thenServe) {
        ServeCommand.serve(service, out);
      }
      return results.stream().allMatch(result -> result.failures() == 0) ? 0 : 1;
    }
  }

  private List<Result> herds(Herd herd) {
    List<Result> results = new ArrayList<>();
    try (Progress progress = new Progress("Herds", 2L * NAMES.size() * requests, options.err())) {
      progress.stage("warming up");
      herd.warmUp(requests);
      for (int names : NAMES) {
        for (boolean sharing : new boolean[] {false, true}) {
          progress.stage(names(names) + ", sharing " + (sharing ? "on" : "off"));
          results.add(herd.send(requests, names, sharing, progress::step));
        }
      }
    }
    return results;
  }

  private static void print(List<Result> results, PrintWriter out) {
    out.println(
        "asked for   sharing   requests   queries   requests/query        p50        p99       wall");
    for (Result result : results) {
      out.println(
          String.format(
              Locale.ROOT,
              "%-11s %-9s %8d %9d %16.1f %10s %10s %10s",
              names(result.names()),
              result.sharing() ? "on" : "off",
              result.requests(),
              result.queries(),
              result.requestsPerQuery(),
              time(result.p50Millis()),
              time(result.p99Millis()),
              time((double) result.wallMillis())));
    }
    out.println();
    Result without = results.get(0);
    Result with = results.get(1);
    out.println(
        String.format(
            Locale.ROOT,
            "On one hot name, sharing took the queries from %2$d to %1$d and made p99 %3$.0f times lower.",
            with.queries(),
            without.queries(),
            without.p99Millis() / with.p99Millis()));
    int failures = results.stream().mapToInt(Result::failures).sum();
    if (failures > 0) {
      out.println(
          "NOT COMPARABLE: "
              + failures
              + " requests failed. Unless the log names another cause,"
              + " the machine is too slow for this --deadline; raise it, or lower --requests.");
    }
    out.println();
    out.flush();
  }

  private static String names(int names) {
    return names == 1 ? "1 name" : names + " names";
  }

  private static String time(double millis) {
    return millis < 1_000
        ? String.format(Locale.ROOT, "%.0f ms", millis)
        : String.format(Locale.ROOT, "%.1f s", millis / 1_000);
  }
}
