package io.singleflight.spring;

import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.List;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.cache.metrics.CacheMeterBinderProvider;
import org.springframework.boot.cache.metrics.CacheMetricsRegistrar;

/** Meters a coalescing cache as Boot meters the one behind it. */
final class CacheMeters implements CacheMeterBinderProvider<CoalescingCache> {

  private final ObjectProvider<CacheMeterBinderProvider<?>> providers;

  CacheMeters(ObjectProvider<CacheMeterBinderProvider<?>> providers) {
    this.providers = providers;
  }

  @Override
  public MeterBinder getMeterBinder(CoalescingCache cache, Iterable<Tag> tags) {
    List<CacheMeterBinderProvider<?>> all = providers.orderedStream().toList();
    return registry ->
        new CacheMetricsRegistrar(registry, all)
            .bindCacheToRegistry(cache.target, Tags.of(tags).stream().toArray(Tag[]::new));
  }
}
