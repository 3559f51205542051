package io.singleflight.benchmarks;

import io.singleflight.benchmarks.JmhForks.Fork;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.infra.ThreadParams;

/**
 * One call whose key nobody else asks for, with work that takes no time: the cost of the library
 * alone. With one key and two threads, the two meet.
 *
 * <pre>{@code java -jar benchmarks/target/benchmarks.jar quick uncontended}</pre>
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@State(Scope.Benchmark)
public class UncontendedCall {

  static String setting(int keys, int threads) {
    return String.format(
        Locale.ROOT,
        "%,d %s, %d %s",
        keys,
        keys == 1 ? "key" : "keys",
        threads,
        threads == 1 ? "thread" : "threads");
  }

  static Fork fork(Rival rival, int keys, int threads) {
    return new Fork(
        "uncontended",
        setting(keys, threads),
        rival.name(),
        UncontendedCall.class,
        Map.of("rival", rival.name(), "keys", Integer.toString(keys)),
        threads);
  }

  @Param public Rival rival;

  @Param({"1", "1024", "1000000"})
  public int keys;

  private Sharing sharing;
  private String[] all;

  @Setup
  public void create() {
    sharing = rival.create(key -> key);
    all = Keys.shuffled(keys);
  }

  @State(Scope.Thread)
  public static class Walk {
    private Keys keys;

    @Setup
    public void share(UncontendedCall benchmark, ThreadParams threads) {
      keys = Keys.shareOf(benchmark.all, threads.getThreadIndex(), threads.getThreadCount());
    }
  }

  @Benchmark
  public Object call(Walk walk) throws Exception {
    return sharing.call(walk.keys.next());
  }
}
