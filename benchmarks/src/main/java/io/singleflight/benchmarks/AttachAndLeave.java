package io.singleflight.benchmarks;

import io.singleflight.SingleFlight;
import io.singleflight.Work;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.function.Supplier;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/**
 * A caller that joins a flight under way and leaves it. The flight is replaced every 10,000
 * callers: in the idiom, whoever has left stays on the shared future's list.
 *
 * <pre>{@code java -jar benchmarks/target/benchmarks.jar jmh AttachAndLeave}</pre>
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@State(Scope.Benchmark)
public class AttachAndLeave {

  private static final int CALLERS_PER_FLIGHT = 10_000;
  private static final String KEY = "the key";

  /** A way to join and leave. Its factory starts the flight. */
  public enum Way {
    SUBMIT("submit, cancel", "singleflight") {
      @Override
      Supplier<Object> fly() {
        SingleFlight<String, Object> flights = flying();
        Work<String, Object, RuntimeException> work = key -> key;
        return () -> flights.submit(KEY, work).cancel(true);
      }
    },

    CALL_ASYNC("callAsync, cancel", "singleflight") {
      @Override
      Supplier<Object> fly() {
        SingleFlight<String, Object> flights = flying();
        return () -> flights.callAsync(KEY, UNFINISHED).cancel(true);
      }
    },

    TIMED_CALL("call, timed out after 1 ns", "singleflight") {
      @Override
      Supplier<Object> fly() {
        SingleFlight<String, Object> flights = flying();
        Work<String, Object, RuntimeException> work = key -> key;
        Duration timeout = Duration.ofNanos(1);
        return () -> {
          try {
            return flights.call(KEY, timeout, work);
          } catch (InterruptedException | TimeoutException left) {
            return left;
          }
        };
      }
    },

    IDIOM("copy, cancel", "ConcurrentHashMap + CompletableFuture") {
      @Override
      Supplier<Object> fly() {
        ConcurrentHashMap<String, CompletableFuture<Object>> map = new ConcurrentHashMap<>();
        map.put(KEY, new CompletableFuture<>());
        return () -> {
          CompletableFuture<Object> mine = new CompletableFuture<>();
          return map.putIfAbsent(KEY, mine).copy().cancel(true);
        };
      }
    },

    IDIOM_TIMED("get, timed out after 1 ns", "ConcurrentHashMap + CompletableFuture") {
      @Override
      Supplier<Object> fly() {
        ConcurrentHashMap<String, CompletableFuture<Object>> map = new ConcurrentHashMap<>();
        map.put(KEY, new CompletableFuture<>());
        return () -> {
          try {
            CompletableFuture<Object> mine = new CompletableFuture<>();
            return map.putIfAbsent(KEY, mine).get(1, TimeUnit.NANOSECONDS);
          } catch (Exception left) {
            return left;
          }
        };
      }
    },

    REACTOR("subscribe, dispose", "Reactor Mono.share by key") {
      @Override
      Supplier<Object> fly() {
        Mono<Object> mono = Mono.never().share();
        Disposable stays = mono.subscribe();
        return () -> {
          mono.subscribe().dispose();
          return stays;
        };
      }
    };

    final String title;
    final String by;

    Way(String title, String by) {
      this.title = title;
      this.by = by;
    }

    abstract Supplier<Object> fly();
  }

  private static final Function<String, CompletableFuture<Object>> UNFINISHED =
      key -> new CompletableFuture<>();

  private static SingleFlight<String, Object> flying() {
    SingleFlight<String, Object> flights = SingleFlight.create();
    flights.callAsync(KEY, UNFINISHED);
    return flights;
  }

  @Param public Way way;

  private Supplier<Object> caller;
  private int callers;

  @Setup
  public void fly() {
    caller = way.fly();
  }

  @Benchmark
  public Object attachAndLeave() {
    if (++callers == CALLERS_PER_FLIGHT) {
      callers = 0;
      caller = way.fly();
    }
    return caller.get();
  }
}
