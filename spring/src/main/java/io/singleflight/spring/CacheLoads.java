package io.singleflight.spring;

import static java.util.Objects.requireNonNull;

import io.singleflight.InFlight;
import io.singleflight.SingleFlight;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.cache.Cache;

/** The loads of all caches, each key's at most once at a time. */
final class CacheLoads {

  /** The name of the instance whose flights load. */
  static final String INSTANCE = "cache";

  private final ObjectProvider<SingleFlights> instances;

  /* A load that is not here when it ends has been forgotten: what it put into the cache is older
   * than the change that it was forgotten for. */
  private final ConcurrentMap<CacheKey, Object> current = new ConcurrentHashMap<>();

  CacheLoads(ObjectProvider<SingleFlights> instances) {
    this.instances = instances;
  }

  @Nullable Object get(CacheKey key, Cache cache, Callable<?> loader) {
    try {
      return flights().call(key, missing -> load(key, cache, loader));
    } catch (InterruptedException e) {
      throw Failures.unchecked(e);
    }
  }

  private @Nullable Object load(CacheKey key, Cache cache, Callable<?> loader) {
    Object load = begin(key);
    try {
      return cache.get(key.key, (Callable<?>) loader);
    } finally {
      if (!current.remove(key, load)) {
        undo(key, cache);
      }
    }
  }

  @SuppressWarnings("unchecked")
  <T> CompletableFuture<T> retrieve(
      CacheKey key, Cache cache, Supplier<CompletableFuture<T>> loader) {
    return (CompletableFuture<T>)
        flights().callAsync(key, missing -> loadAsync(key, cache, loader));
  }

  private <T> CompletableFuture<T> loadAsync(
      CacheKey key, Cache cache, Supplier<CompletableFuture<T>> loader) {
    Object load = begin(key);
    CompletableFuture<T> loaded = null;
    try {
      loaded = requireNonNull(cache.retrieve(key.key, loader), "the future of the cache");
    } finally {
      if (loaded == null) {
        current.remove(key, load);
      }
    }
    // A copy: when all have left, it is cancelled, and the cache puts what it loads nevertheless.
    return loaded
        .whenComplete((value, failure) -> {
          if (!current.remove(key, load)) {
            // Not on this thread: it may be the one that the cache needs for its answer.
            SingleFlights.THREADS.execute(() -> undo(key, cache));
          }
        })
        .copy();
  }

  /* At once, which evict is not: a transaction-aware cache does that only if the caller commits. */
  private static void undo(CacheKey key, Cache cache) {
    cache.evictIfPresent(key.key);
  }

  private Object begin(CacheKey key) {
    Object load = new Object();
    current.put(key, load);
    return load;
  }

  /** Calls that begin later join no load that is in progress. */
  void forget(CacheKey key) {
    current.remove(key);
    flights().forget(key);
  }

  /** Forgets all keys that match. */
  void forget(Predicate<CacheKey> which) {
    current.keySet().removeIf(which);
    for (InFlight<Object> flight : flights().inFlight()) {
      if (flight.key() instanceof CacheKey key && which.test(key)) {
        flights().forget(key);
      }
    }
  }

  private SingleFlight<Object, @Nullable Object> flights() {
    return instances.getObject().get(INSTANCE);
  }
}
