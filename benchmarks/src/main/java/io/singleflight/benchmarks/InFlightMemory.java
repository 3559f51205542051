package io.singleflight.benchmarks;

import io.singleflight.SingleFlight;
import io.singleflight.benchmarks.Results.Cell;
import java.io.IOException;
import java.lang.ref.Reference;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;

/**
 * What 100,000 keys in flight hold on to: the growth of the live heap, divided by the keys. Each
 * rival has a JVM of its own, whose collector counts exactly.
 *
 * <p>Blocking calls are nested, each in the work of the one before, so that one thread leads them
 * all. The keys, the values and the stages of {@code callAsync} are there before and do not count.
 */
final class InFlightMemory {

  static final String BYTES = "bytes a key in flight";
  static final String BLOCKING = "call";
  static final String ASYNC = "callAsync";

  static final List<Rival> BLOCKING_RIVALS =
      List.of(
          Rival.CHM,
          Rival.CHM_CF,
          Rival.CAFFEINE_ASYNC,
          Rival.GUAVA,
          Rival.REACTOR,
          Rival.SINGLEFLIGHT);
  static final List<Rival> ASYNC_RIVALS = List.of(Rival.CHM_CF, Rival.SINGLEFLIGHT);

  private static final int KEYS = 100_000;
  private static final long STACK = 4L << 30;

  private final String[] keys = Keys.shuffled(KEYS);
  private int next;
  private long before;
  private long after;
  private Sharing sharing;

  private InFlightMemory() {}

  static void run(Results results) throws IOException, InterruptedException {
    for (Rival rival : BLOCKING_RIVALS) {
      results.add(new Cell("memory", BLOCKING, rival.name(), BYTES), inOwnJvm(BLOCKING, rival));
    }
    for (Rival rival : ASYNC_RIVALS) {
      results.add(new Cell("memory", ASYNC, rival.name(), BYTES), inOwnJvm(ASYNC, rival));
    }
  }

  static double inOwnJvm(String kind, Rival rival) throws IOException, InterruptedException {
    Process jvm =
        new ProcessBuilder(
                System.getProperty("java.home") + "/bin/java",
                "-XX:+UseSerialGC",
                // A thread's allocation buffer counts as used, however empty it is.
                "-XX:-UseTLAB",
                "-Xms1g",
                "-Xmx2g",
                "-cp",
                System.getProperty("java.class.path"),
                InFlightMemory.class.getName(),
                kind,
                rival.name())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    String answer = new String(jvm.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (jvm.waitFor() != 0) {
      throw new IllegalStateException(kind + " of " + rival + " ended with " + jvm.exitValue());
    }
    return Double.parseDouble(answer.strip());
  }

  /**
   * Prints the bytes a key in flight.
   *
   * @param args the kind of call and the rival
   * @throws InterruptedException never
   */
  public static void main(String... args) throws InterruptedException {
    InFlightMemory memory = new InFlightMemory();
    Rival rival = Rival.valueOf(args[1]);
    Runnable measure =
        args[0].equals(BLOCKING) ? () -> memory.nested(rival) : () -> memory.async(rival);
    Thread thread = new Thread(null, measure, "leader", STACK);
    thread.start();
    thread.join();
    System.out.println((double) (memory.after - memory.before) / KEYS);
  }

  private void nested(Rival rival) {
    // Loads the classes, and makes whatever a rival makes only once.
    next = KEYS - 100;
    sharing = rival.create(this::enterNext);
    enterNext("");
    next = 0;
    sharing = rival.create(this::enterNext);
    before = liveHeap();
    enterNext("");
  }

  private Object enterNext(String key) {
    if (next == KEYS) {
      after = liveHeap();
      return key;
    }
    try {
      return sharing.call(keys[next++]);
    } catch (Exception failure) {
      throw new IllegalStateException(failure);
    }
  }

  private void async(Rival rival) {
    CompletableFuture<?>[] stages = new CompletableFuture<?>[KEYS];
    Arrays.setAll(stages, i -> new CompletableFuture<Object>());
    Function<String, CompletableFuture<Object>> unfinished =
        key -> {
          @SuppressWarnings("unchecked")
          CompletableFuture<Object> stage = (CompletableFuture<Object>) stages[next++];
          return stage;
        };
    Object table;
    if (rival == Rival.SINGLEFLIGHT) {
      SingleFlight<String, Object> flights = SingleFlight.create();
      before = liveHeap();
      for (String key : keys) {
        flights.callAsync(key, unfinished);
      }
      table = flights;
    } else {
      ConcurrentHashMap<String, CompletableFuture<Object>> map = new ConcurrentHashMap<>(1024);
      before = liveHeap();
      for (String key : keys) {
        CompletableFuture<Object> mine = new CompletableFuture<>();
        map.put(key, mine);
        unfinished
            .apply(key)
            .whenComplete((value, failure) -> {
              map.remove(key, mine);
              if (failure == null) {
                mine.complete(value);
              } else {
                mine.completeExceptionally(failure);
              }
            });
      }
      table = map;
    }
    after = liveHeap();
    Reference.reachabilityFence(table);
    Reference.reachabilityFence(stages);
  }

  private static long liveHeap() {
    System.gc();
    System.gc();
    return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
  }
}
