package io.singleflight.spring;

import io.singleflight.SingleFlight;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.aopalliance.intercept.MethodInterceptor;
import org.aopalliance.intercept.MethodInvocation;
import org.jspecify.annotations.Nullable;
import org.springframework.aop.framework.Advised;
import org.springframework.aop.framework.ProxyFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.cache.Cache;
import org.springframework.cache.CacheManager;

/** Makes the caches of all cache managers load a missing key once for all concurrent callers. */
final class CoalescingCaches implements BeanPostProcessor {

  /** The name of the instance whose flights load. */
  static final String INSTANCE = "cache";

  private final ObjectProvider<SingleFlights> instances;

  CoalescingCaches(ObjectProvider<SingleFlights> instances) {
    this.instances = instances;
  }

  @Override
  public Object postProcessAfterInitialization(Object bean, String beanName) {
    if (!(bean instanceof CacheManager manager)) {
      return bean;
    }
    Map<String, Coalesced> caches = new ConcurrentHashMap<>();
    return proxy(
        manager,
        invocation -> {
          Object result = invocation.proceed();
          return result instanceof Cache cache && !coalesces(cache)
              ? caches.compute(cache.getName(), (name, known) -> coalesced(known, manager, cache))
                  .proxy
              : result;
        });
  }

  private Coalesced coalesced(@Nullable Coalesced known, CacheManager manager, Cache cache) {
    return known != null && known.target == cache
        ? known
        : new Coalesced(cache, coalescing(manager, cache));
  }

  private record Coalesced(Cache target, Cache proxy) {}

  private Cache coalescing(CacheManager manager, Cache cache) {
    return proxy(cache, new Coalescing(manager, cache));
  }

  /* One manager may hand out the caches of another. */
  private static boolean coalesces(Cache cache) {
    return cache instanceof Advised advised
        && Arrays.stream(advised.getAdvisors())
            .anyMatch(advisor -> advisor.getAdvice() instanceof Coalescing);
  }

  private final class Coalescing implements MethodInterceptor {

    private final CacheManager manager;
    private final Cache cache;

    Coalescing(CacheManager manager, Cache cache) {
      this.manager = manager;
      this.cache = cache;
    }

    @Override
    public @Nullable Object invoke(MethodInvocation invocation) throws Throwable {
      @Nullable Object[] arguments = invocation.getArguments();
      Object key = arguments.length == 2 ? arguments[0] : null;
      if (key != null && arguments[1] instanceof Callable<?> loader) {
        return get(cache, new CacheKey(manager, cache.getName(), key), loader);
      }
      if (key != null && arguments[1] instanceof Supplier<?> loader) {
        return retrieve(cache, new CacheKey(manager, cache.getName(), key), loader);
      }
      return invocation.proceed();
    }
  }

  /* Looks first: a hit has to wait for nobody, and is its caller's own copy. */
  private @Nullable Object get(Cache cache, CacheKey key, Callable<?> loader) {
    Cache.ValueWrapper hit = cache.get(key.key);
    if (hit != null) {
      return hit.get();
    }
    try {
      return flights().call(key, missing -> cache.get(key.key, (Callable<?>) loader));
    } catch (InterruptedException e) {
      throw Failures.unchecked(e);
    }
  }

  @SuppressWarnings("unchecked")
  private CompletableFuture<?> retrieve(Cache cache, CacheKey key, Supplier<?> loader) {
    return flights()
        .callAsync(
            key, missing -> cache.retrieve(key.key, (Supplier<CompletableFuture<Object>>) loader));
  }

  private SingleFlight<Object, @Nullable Object> flights() {
    return instances.getObject().get(INSTANCE);
  }

  /* Of the same class, as far as it can be: others may inject or cast to it. */
  @SuppressWarnings("unchecked")
  private static <T> T proxy(T target, MethodInterceptor advice) {
    ProxyFactory factory = new ProxyFactory(target);
    factory.setProxyTargetClass(!Modifier.isFinal(target.getClass().getModifiers()));
    factory.addAdvice(advice);
    return (T) factory.getProxy(target.getClass().getClassLoader());
  }

  /* By name: some managers hand out another object each time. */
  private record CacheKey(CacheManager manager, String cache, Object key) {

    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof CacheKey that
          && manager == that.manager
          && cache.equals(that.cache)
          && key.equals(that.key);
    }

    @Override
    public int hashCode() {
      return 31 * (31 * System.identityHashCode(manager) + cache.hashCode()) + key.hashCode();
    }

    @Override
    public String toString() {
      return cache + "::" + key;
    }
  }
}
