package io.singleflight.spring;

import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.springframework.cache.Cache;
import org.springframework.cache.CacheManager;

/** A cache that loads a missing key once for all concurrent callers. */
final class CoalescingCache implements Cache {

  final Cache target;
  private final CacheManager manager;
  private final CacheLoads loads;

  CoalescingCache(Cache target, CacheManager manager, CacheLoads loads) {
    this.target = target;
    this.manager = manager;
    this.loads = loads;
  }

  // Looking up

  @Override
  public String getName() {
    return target.getName();
  }

  @Override
  public Object getNativeCache() {
    return target.getNativeCache();
  }

  @Override
  public @Nullable ValueWrapper get(Object key) {
    return target.get(key);
  }

  @Override
  public <T> @Nullable T get(Object key, @Nullable Class<T> type) {
    return target.get(key, type);
  }

  /** Looks first: a hit has to wait for nobody, and is its caller's own copy. */
  @Override
  @SuppressWarnings("unchecked")
  public <T> @Nullable T get(Object key, Callable<T> loader) {
    ValueWrapper hit = target.get(key);
    return (T) (hit != null ? hit.get() : loads.get(keyOf(key), target, loader));
  }

  @Override
  public @Nullable CompletableFuture<?> retrieve(Object key) {
    return target.retrieve(key);
  }

  @Override
  public <T> CompletableFuture<T> retrieve(Object key, Supplier<CompletableFuture<T>> loader) {
    return loads.retrieve(keyOf(key), target, loader);
  }

  // Changing

  @Override
  public void put(Object key, @Nullable Object value) {
    changing(
        key,
        () -> {
          target.put(key, value);
          return null;
        });
  }

  @Override
  public @Nullable ValueWrapper putIfAbsent(Object key, @Nullable Object value) {
    return changing(key, () -> target.putIfAbsent(key, value));
  }

  @Override
  public void evict(Object key) {
    changing(
        key,
        () -> {
          target.evict(key);
          return null;
        });
  }

  @Override
  public boolean evictIfPresent(Object key) {
    return changing(key, () -> target.evictIfPresent(key));
  }

  @Override
  public void clear() {
    changingAll(() -> {
      target.clear();
      return null;
    });
  }

  @Override
  public boolean invalidate() {
    return changingAll(target::invalidate);
  }

  private <T extends @Nullable Object> T changing(Object key, Supplier<T> change) {
    CacheKey forgotten = keyOf(key);
    return changing(() -> loads.forget(forgotten), change);
  }

  private <T extends @Nullable Object> T changingAll(Supplier<T> change) {
    String name = target.getName();
    return changing(
        () -> loads.forget(key -> key.manager == manager && key.cache.equals(name)), change);
  }

  /*
   * Before the change, so that no load that is in progress leaves what it found behind it; after it,
   * so that no later call joins one. A transaction-aware cache changes when its transaction has
   * committed: after the first and before the second of what is said here.
   */
  private static <T extends @Nullable Object> T changing(Runnable forget, Supplier<T> change) {
    forget.run();
    Transactions.whenCommittedAndWhenCompleted(forget);
    try {
      return change.get();
    } finally {
      forget.run();
    }
  }

  private CacheKey keyOf(Object key) {
    return new CacheKey(manager, target.getName(), key);
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof CoalescingCache that && target.equals(that.target);
  }

  @Override
  public int hashCode() {
    return target.hashCode();
  }

  @Override
  public String toString() {
    return "coalescing " + target;
  }
}
