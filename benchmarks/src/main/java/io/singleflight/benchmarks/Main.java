package io.singleflight.benchmarks;

/** The command line of the benchmarks. */
public final class Main {

  private static final String USAGE =
      """
      Usage: java -jar benchmarks.jar quick uncontended [KEYS [THREADS]]
      """;

  private Main() {}

  /**
   * Measures.
   *
   * @param args what to measure
   * @throws Exception if that fails
   */
  public static void main(String... args) throws Exception {
    switch (args.length < 2 ? "" : args[0] + " " + args[1]) {
      case "quick uncontended" -> Quick.uncontended(number(args, 2, 1024), number(args, 3, 1));
      default -> {
        System.err.print(USAGE);
        System.exit(2);
      }
    }
  }

  private static int number(String[] args, int index, int otherwise) {
    return args.length > index ? Integer.parseInt(args[index]) : otherwise;
  }
}
