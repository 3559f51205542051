package io.singleflight.spring;

import org.jspecify.annotations.Nullable;
import org.springframework.cache.CacheManager;

/** A key of a cache, by the cache's name: some managers hand out another object each time. */
final class CacheKey {

  final CacheManager manager;
  final String cache;
  final Object key;
  private final int hash;

  CacheKey(CacheManager manager, String cache, Object key) {
    this.manager = manager;
    this.cache = cache;
    this.key = key;
    this.hash = 31 * (31 * System.identityHashCode(manager) + cache.hashCode()) + key.hashCode();
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof CacheKey that
        && manager == that.manager
        && cache.equals(that.cache)
        && key.equals(that.key);
  }

  @Override
  public int hashCode() {
    return hash;
  }

  @Override
  public String toString() {
    return cache + "::" + key;
  }
}
