package io.singleflight.benchmarks;

import java.util.Arrays;
import java.util.List;

/** The command line of the benchmarks. */
public final class Main {

  private static final String USAGE =
      """
      Usage: java -jar benchmarks.jar COMMAND

      quick uncontended [KEYS [THREADS]]   a minute: one call, against the nearest rivals
      quick herd [RIVAL]...                a minute: herds, against ConcurrentHashMap + CompletableFuture
      """;

  private Main() {}

  /**
   * Measures.
   *
   * @param args what to measure
   * @throws Exception if that fails
   */
  public static void main(String... args) throws Exception {
    if (args.length > 0 && args[0].equals("jmh")) {
      org.openjdk.jmh.Main.main(Arrays.copyOfRange(args, 1, args.length));
      return;
    }
    switch (args.length < 2 ? "" : args[0] + " " + args[1]) {
      case "quick uncontended" -> Quick.uncontended(number(args, 2, 1024), number(args, 3, 1));
      case "quick herd" -> Quick.herd(rivals(args));
      case "quick overlap" -> Quick.overlap();
      case "quick memory" -> Quick.memory();
      default -> {
        System.err.print(USAGE);
        System.exit(2);
      }
    }
  }

  private static List<Rival> rivals(String... args) {
    return args.length == 2
        ? List.of(Rival.CHM_CF, Rival.SINGLEFLIGHT)
        : Arrays.stream(args).skip(2).map(Rival::valueOf).toList();
  }

  private static int number(String[] args, int index, int otherwise) {
    return args.length > index ? Integer.parseInt(args[index]) : otherwise;
  }
}
