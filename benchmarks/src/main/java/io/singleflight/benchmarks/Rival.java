package io.singleflight.benchmarks;

import com.github.benmanes.caffeine.cache.AsyncCache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.google.common.cache.Cache;
import com.google.common.cache.CacheBuilder;
import io.singleflight.Freshness;
import io.singleflight.InFlight;
import io.singleflight.SingleFlight;
import io.singleflight.Work;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Function;
import reactor.core.publisher.Mono;

/** What is measured: the ways in which users share calls, and for scale what cannot be undercut. */
public enum Rival {

  /** Two bare CASes on an array slot. Shares nothing: who finds the slot taken works alone. */
  FLOOR("two CASes on an array slot") {
    @Override
    Sharing create(Function<String, Object> work) {
      AtomicReferenceArray<Object> slots = new AtomicReferenceArray<>(1024);
      Object taken = new Object();
      return key -> {
        int hash = key.hashCode();
        int slot = (hash ^ (hash >>> 16)) & 1023;
        if (!slots.compareAndSet(slot, null, taken)) {
          return work.apply(key);
        }
        Object value = work.apply(key);
        slots.compareAndSet(slot, taken, null);
        return value;
      };
    }
  },

  /** Shares nothing: who finds the key taken works alone. */
  CHM("ConcurrentHashMap putIfAbsent + remove") {
    @Override
    Sharing create(Function<String, Object> work) {
      ConcurrentHashMap<String, Object> map = new ConcurrentHashMap<>(1024);
      Object taken = new Object();
      return key -> {
        if (map.putIfAbsent(key, taken) != null) {
          return work.apply(key);
        }
        Object value = work.apply(key);
        map.remove(key);
        return value;
      };
    }
  },

  CHM_CF("ConcurrentHashMap + CompletableFuture") {
    @Override
    Sharing create(Function<String, Object> work) {
      ConcurrentHashMap<String, CompletableFuture<Object>> map = new ConcurrentHashMap<>(1024);
      return key -> {
        CompletableFuture<Object> mine = new CompletableFuture<>();
        CompletableFuture<Object> theirs = map.putIfAbsent(key, mine);
        if (theirs != null) {
          return theirs.get();
        }
        try {
          Object value = work.apply(key);
          map.remove(key, mine);
          mine.complete(value);
          return value;
        } catch (Throwable failure) {
          map.remove(key, mine);
          mine.completeExceptionally(failure);
          throw failure;
        }
      };
    }
  },

  CAFFEINE("Caffeine get + invalidate") {
    @Override
    Sharing create(Function<String, Object> work) {
      com.github.benmanes.caffeine.cache.Cache<String, Object> cache =
          Caffeine.newBuilder().initialCapacity(1024).build();
      return key -> {
        Object value = cache.get(key, work);
        cache.invalidate(key);
        return value;
      };
    }
  },

  CAFFEINE_ASYNC("Caffeine AsyncCache") {
    @Override
    Sharing create(Function<String, Object> work) {
      AsyncCache<String, Object> cache = Caffeine.newBuilder().initialCapacity(1024).buildAsync();
      return key -> {
        CompletableFuture<Object> mine = new CompletableFuture<>();
        CompletableFuture<Object> flight = cache.get(key, (k, executor) -> mine);
        if (flight != mine) {
          return flight.get();
        }
        try {
          Object value = work.apply(key);
          cache.asMap().remove(key, mine);
          mine.complete(value);
          return value;
        } catch (Throwable failure) {
          cache.asMap().remove(key, mine);
          mine.completeExceptionally(failure);
          throw failure;
        }
      };
    }
  },

  GUAVA("Guava Cache get + invalidate") {
    @Override
    Sharing create(Function<String, Object> work) {
      Cache<String, Object> cache = CacheBuilder.newBuilder().initialCapacity(1024).build();
      return key -> {
        Object value = cache.get(key, () -> work.apply(key));
        cache.invalidate(key);
        return value;
      };
    }
  },

  REACTOR("Reactor Mono.share by key") {
    @Override
    Sharing create(Function<String, Object> work) {
      ConcurrentHashMap<String, Mono<Object>> map = new ConcurrentHashMap<>(1024);
      // Hidden, since a shared Mono that is blocked on asks each millisecond whether it is done.
      Function<String, Mono<Object>> newMono =
          key ->
              Mono.fromCallable(() -> work.apply(key))
                  .doOnTerminate(() -> map.remove(key))
                  .share()
                  .hide();
      return key -> map.computeIfAbsent(key, newMono).block();
    }
  },

  /** Wrong: completes before it removes, so that newcomers get results of before they came. */
  CHM_CF_REPLAY("ConcurrentHashMap + CompletableFuture, removed too late") {
    @Override
    Sharing create(Function<String, Object> work) {
      ConcurrentHashMap<String, CompletableFuture<Object>> map = new ConcurrentHashMap<>(1024);
      return key -> {
        CompletableFuture<Object> mine = new CompletableFuture<>();
        CompletableFuture<Object> theirs = map.putIfAbsent(key, mine);
        if (theirs != null) {
          return theirs.get();
        }
        mine.complete(work.apply(key));
        map.remove(key, mine);
        return mine.get();
      };
    }
  },

  SINGLEFLIGHT_NEXT("singleflight, NEXT") {
    @Override
    Sharing create(Function<String, Object> work) {
      return new SingleFlightSharing(
          SingleFlight.<String, Object>builder().freshness(Freshness.NEXT).build(), work::apply);
    }
  },

  SINGLEFLIGHT("singleflight") {
    @Override
    Sharing create(Function<String, Object> work) {
      return new SingleFlightSharing(SingleFlight.create(), work::apply);
    }
  };

  private record SingleFlightSharing(
      SingleFlight<String, Object> flights, Work<String, Object, RuntimeException> work)
      implements Sharing {

    @Override
    public Object call(String key) throws InterruptedException {
      return flights.call(key, work);
    }

    @Override
    public OptionalInt callers() {
      return OptionalInt.of(flights.inFlight().stream().mapToInt(InFlight::callers).sum());
    }
  }

  final String title;

  Rival(String title) {
    this.title = title;
  }

  abstract Sharing create(Function<String, Object> work);
}
