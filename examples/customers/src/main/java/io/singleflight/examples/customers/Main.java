package io.singleflight.examples.customers;

import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The command line: {@code serve} and {@code herd}. */
@Command(
    name = "customers",
    description = "An HTTP service that saves round trips to its database by sharing calls.",
    subcommands = {ServeCommand.class, HerdCommand.class})
final class Main implements Runnable {
  @Option(names = "--help", usageHelp = true, description = "show this help")
  private boolean help;

  @Spec private CommandSpec spec;

  @SuppressWarnings("NullAway.Init") // picocli sets the fields
  Main() {}

  public static void main(String[] args) {
    System.exit(commandLine().execute(args));
  }

  static CommandLine commandLine() {
    return new CommandLine(new Main())
        .setExecutionExceptionHandler((failure, command, parsed) -> {
          PrintWriter err = command.getErr();
          err.println(command.getColorScheme().errorText(message(failure)));
          err.flush();
          return CommandLine.ExitCode.SOFTWARE;
        });
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "Say what to do: serve, or herd.");
  }

  private static String message(Throwable failure) {
    return String.valueOf(failure.getMessage()) + " (" + root(failure) + ")";
  }

  /** What a failure came of in the end. */
  static Throwable root(Throwable failure) {
    Throwable root = failure;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    return root;
  }
}
