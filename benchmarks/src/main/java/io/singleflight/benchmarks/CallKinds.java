package io.singleflight.benchmarks;

import io.singleflight.BatchWork;
import io.singleflight.SingleFlight;
import io.singleflight.Work;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/**
 * One uncontended call of each kind, from the call until the caller has the value, beside the same
 * in the idiom of a ConcurrentHashMap and CompletableFutures where it has one.
 *
 * <pre>{@code java -jar benchmarks/target/benchmarks.jar jmh CallKinds}</pre>
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@State(Scope.Benchmark)
public class CallKinds {

  private static final Duration TIMEOUT = Duration.ofMinutes(1);

  /** A kind of call, and who performs it. */
  public enum Kind {
    CALL("call", "singleflight") {
      @Override
      Sharing create() {
        return Rival.SINGLEFLIGHT.create(key -> key);
      }
    },

    TIMED_CALL("call with a timeout", "singleflight") {
      @Override
      Sharing create() {
        SingleFlight<String, Object> flights = SingleFlight.create();
        Work<String, Object, RuntimeException> work = key -> key;
        return key -> flights.call(key, TIMEOUT, work);
      }
    },

    SUBMIT("submit, joined", "singleflight") {
      @Override
      Sharing create() {
        SingleFlight<String, Object> flights = SingleFlight.create();
        Work<String, Object, RuntimeException> work = key -> key;
        return key -> flights.submit(key, work).join();
      }
    },

    CALL_ASYNC("callAsync, its stage complete", "singleflight") {
      @Override
      Sharing create() {
        SingleFlight<String, Object> flights = SingleFlight.create();
        CompletableFuture<Object> complete = CompletableFuture.completedFuture("a value");
        Function<String, CompletableFuture<Object>> work = key -> complete;
        return key -> flights.callAsync(key, work).join();
      }
    },

    CALL_ASYNC_LATER("callAsync, its stage completed later", "singleflight") {
      @Override
      Sharing create() {
        SingleFlight<String, Object> flights = SingleFlight.create();
        return key -> {
          CompletableFuture<Object> stage = new CompletableFuture<>();
          CompletableFuture<Object> answer = flights.callAsync(key, k -> stage);
          stage.complete(key);
          return answer.join();
        };
      }
    },

    CALL_ALL_OF_1("callAll of 1 key", "singleflight") {
      @Override
      Sharing create() {
        return callAll(1);
      }
    },

    CALL_ALL_OF_10("callAll of 10 keys", "singleflight") {
      @Override
      Sharing create() {
        return callAll(10);
      }
    },

    IDIOM_CALL("call", "ConcurrentHashMap + CompletableFuture") {
      @Override
      Sharing create() {
        return Rival.CHM_CF.create(key -> key);
      }
    },

    IDIOM_TIMED_CALL("call with a timeout", "ConcurrentHashMap + CompletableFuture") {
      @Override
      Sharing create() {
        Idiom idiom = new Idiom();
        return key ->
            idiom
                .call(key, k -> CompletableFuture.supplyAsync(() -> k, EXECUTOR))
                .get(1, TimeUnit.MINUTES);
      }
    },

    IDIOM_SUBMIT("submit, joined", "ConcurrentHashMap + CompletableFuture") {
      @Override
      Sharing create() {
        Idiom idiom = new Idiom();
        return key -> idiom.call(key, k -> CompletableFuture.supplyAsync(() -> k, EXECUTOR)).join();
      }
    },

    IDIOM_CALL_ASYNC("callAsync, its stage complete", "ConcurrentHashMap + CompletableFuture") {
      @Override
      Sharing create() {
        Idiom idiom = new Idiom();
        CompletableFuture<Object> complete = CompletableFuture.completedFuture("a value");
        return key -> idiom.call(key, k -> complete).join();
      }
    },

    IDIOM_CALL_ASYNC_LATER(
        "callAsync, its stage completed later", "ConcurrentHashMap + CompletableFuture") {
      @Override
      Sharing create() {
        Idiom idiom = new Idiom();
        return key -> {
          CompletableFuture<Object> stage = new CompletableFuture<>();
          CompletableFuture<Object> answer = idiom.call(key, k -> stage);
          stage.complete(key);
          return answer.join();
        };
      }
    };

    final String title;
    final String by;

    Kind(String title, String by) {
      this.title = title;
      this.by = by;
    }

    abstract Sharing create();
  }

  /** The default executor of the library is of the same sort. */
  private static final Executor EXECUTOR =
      ThreadKind.VIRTUAL.exists() ? ThreadKind.VIRTUAL::start : ThreadKind.PLATFORM::start;

  /** A future for each caller that joins, so that nobody can cancel another's. */
  private static final class Idiom {
    private final ConcurrentHashMap<String, CompletableFuture<Object>> map =
        new ConcurrentHashMap<>(1024);

    CompletableFuture<Object> call(String key, Function<String, CompletableFuture<Object>> work) {
      CompletableFuture<Object> mine = new CompletableFuture<>();
      CompletableFuture<Object> theirs = map.putIfAbsent(key, mine);
      if (theirs != null) {
        return theirs.copy();
      }
      work.apply(key)
          .whenComplete((value, failure) -> {
            map.remove(key, mine);
            if (failure == null) {
              mine.complete(value);
            } else {
              mine.completeExceptionally(failure);
            }
          });
      return mine.copy();
    }
  }

  private static Sharing callAll(int count) {
    SingleFlight<String, Object> flights = SingleFlight.create();
    List<String> keys = Arrays.asList(Keys.shuffled(count));
    Map<String, Object> answer = new LinkedHashMap<>();
    keys.forEach(key -> answer.put(key, key));
    BatchWork<String, Object, RuntimeException> work = all -> answer;
    return key -> flights.callAll(keys, work);
  }

  @Param public Kind kind;

  private Sharing sharing;
  private Keys keys;

  @Setup
  public void create() {
    sharing = kind.create();
    keys = Keys.shareOf(Keys.shuffled(1024), 0, 1);
  }

  @Benchmark
  public Object call() throws Exception {
    return sharing.call(keys.next());
  }
}
