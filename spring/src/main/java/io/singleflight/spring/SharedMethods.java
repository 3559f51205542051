package io.singleflight.spring;

import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.springframework.aop.support.AopUtils;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.core.MethodClassKey;
import org.springframework.core.MethodIntrospector;
import org.springframework.core.annotation.AnnotatedElementUtils;
import org.springframework.core.annotation.AnnotationUtils;
import org.springframework.util.ReflectionUtils.MethodFilter;

/** Finds the annotated methods of beans. */
final class SharedMethods {

  private static final MethodFilter ANNOTATED =
      method -> AnnotatedElementUtils.hasAnnotation(method, SharedCall.class);

  private final Map<MethodClassKey, Optional<SharedMethod>> methods = new ConcurrentHashMap<>();
  private final Map<Class<?>, List<SharedMethod>> types = new ConcurrentHashMap<>();
  private final ConfigurableListableBeanFactory beans;
  private final boolean webFluxSecurity;

  SharedMethods(ConfigurableListableBeanFactory beans, boolean webFluxSecurity) {
    this.beans = beans;
    this.webFluxSecurity = webFluxSecurity;
  }

  /** The annotated methods of a type, which are checked. */
  List<SharedMethod> in(Class<?> type) {
    return types.computeIfAbsent(
        type,
        candidate ->
            !isOfSpring(candidate) && AnnotationUtils.isCandidateClass(candidate, SharedCall.class)
                ? MethodIntrospector.selectMethods(candidate, ANNOTATED).stream()
                    .map(method -> find(method, candidate))
                    .filter(Objects::nonNull)
                    .toList()
                : List.of());
  }

  /*
   * Spring's own beans are most of an application's, and not annotated: to look through their
   * methods would take most of what this starter takes at the start. Its samples are applications.
   */
  private static boolean isOfSpring(Class<?> type) {
    String name = type.getName();
    return name.startsWith("org.springframework.")
        && !name.startsWith("org.springframework.samples.");
  }

  @Nullable SharedMethod find(Method method, @Nullable Class<?> targetClass) {
    MethodClassKey key = new MethodClassKey(method, targetClass);
    Optional<SharedMethod> known = methods.get(key);
    return known != null
        ? known.orElse(null)
        : methods.computeIfAbsent(key, absent -> read(method, targetClass)).orElse(null);
  }

  private Optional<SharedMethod> read(Method method, @Nullable Class<?> targetClass) {
    // The methods of a proxy class tell less than those of its interfaces.
    Method specific =
        targetClass == null || Proxy.isProxyClass(targetClass)
            ? method
            : AopUtils.getMostSpecificMethod(method, targetClass);
    SharedCall annotation = AnnotatedElementUtils.findMergedAnnotation(specific, SharedCall.class);
    return annotation == null
        ? Optional.empty()
        : Optional.of(new SharedMethod(specific, targetClass, annotation, beans, webFluxSecurity));
  }
}
