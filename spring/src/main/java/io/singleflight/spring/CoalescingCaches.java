package io.singleflight.spring;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.Set;
import org.aopalliance.intercept.MethodInterceptor;
import org.springframework.aop.framework.ProxyFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.cache.Cache;
import org.springframework.cache.CacheManager;

/** Makes the caches of all cache managers load a missing key once for all concurrent callers. */
final class CoalescingCaches implements BeanPostProcessor {

  /** The methods of managers that change many caches at once. */
  private static final Set<String> CHANGES = Set.of("resetCaches", "removeCache");

  private final CacheLoads loads;

  CoalescingCaches(ObjectProvider<SingleFlights> instances) {
    this.loads = new CacheLoads(instances);
  }

  @Override
  public Object postProcessAfterInitialization(Object bean, String beanName) {
    if (!(bean instanceof CacheManager manager)) {
      return bean;
    }
    ProxyFactory factory = new ProxyFactory(manager);
    factory.setProxyTargetClass(canBeExtended(manager.getClass()));
    factory.addAdvice(
        (MethodInterceptor)
            invocation -> {
              Object result = invocation.proceed();
              if (CHANGES.contains(invocation.getMethod().getName())) {
                loads.forget(key -> key.manager == manager);
              }
              // One manager may hand out the caches of another.
              return result instanceof Cache cache && !(cache instanceof CoalescingCache)
                  ? new CoalescingCache(cache, manager, loads)
                  : result;
            });
    return factory.getProxy(manager.getClass().getClassLoader());
  }

  /* Others inject a manager by its class. But a final method would see a subclass without state,
   * and a class may promise caches of a class of its own. */
  private static boolean canBeExtended(Class<?> type) {
    return !Modifier.isFinal(type.getModifiers())
        && Arrays.stream(type.getMethods())
            .filter(method -> method.getDeclaringClass() != Object.class)
            .noneMatch(method -> isFinal(method) || promisesItsOwnCaches(method));
  }

  private static boolean isFinal(Method method) {
    return Modifier.isFinal(method.getModifiers()) && !Modifier.isStatic(method.getModifiers());
  }

  private static boolean promisesItsOwnCaches(Method method) {
    return Cache.class.isAssignableFrom(method.getReturnType())
        && method.getReturnType() != Cache.class;
  }
}
