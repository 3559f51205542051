package io.singleflight.examples.customers;

import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Serves until it is interrupted. */
@Command(
    name = "serve",
    description = "Serves customers and the page that shows what sharing does.")
final class ServeCommand implements Callable<Integer> {
  @Mixin private ServiceOptions options;

  @Option(
      names = "--port",
      paramLabel = "PORT",
      defaultValue = "8080",
      description = "0 for a free one (default: ${DEFAULT-VALUE})")
  private int port;

  @Spec private CommandSpec spec;

  @SuppressWarnings("NullAway.Init") // picocli sets the fields
  ServeCommand() {}

  @Override
  public Integer call() throws Exception {
    options.requireRange("--port", port, 0, ServiceOptions.MAX_PORT);
    PrintWriter out = spec.commandLine().getOut();
    try (CustomerDatabase customers = options.open();
        Service service = Service.start(customers, options.deadline(), port)) {
      serve(service, out);
    }
    return 0;
  }

  static void serve(Service service, PrintWriter out) throws InterruptedException {
    out.printf("Serving %s (Ctrl+C stops it)%n", service.uri());
    out.printf("  customers as JSON: %s/customers?name=customer-1%n", service.uri());
    out.flush();
    service.join();
  }
}
