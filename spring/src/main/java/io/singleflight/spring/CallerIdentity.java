package io.singleflight.spring;

import org.jspecify.annotations.Nullable;

/**
 * A part of what tells one caller from another, such as its tenant. Each bean of this type adds to
 * the identity of all calls whose {@link SharedCall} does not say one itself.
 *
 * <pre>{@code
 * @Bean
 * CallerIdentity tenant(Tenants tenants) {
 *   return tenants::current;
 * }
 * }</pre>
 *
 * <p>Implementations must be thread-safe. They are asked on the thread of the call and, for {@code
 * Mono} and {@code Flux} methods, on that of each subscription also.
 */
@FunctionalInterface
public interface CallerIdentity {

  /**
   * Returns what the caller has in common with those that it may share an invocation with.
   *
   * @return an object with {@code equals} and {@code hashCode} by value, or null; or, if only
   *     methods that return {@code Mono} or {@code Flux} ask, a {@code Mono} of it
   */
  @Nullable Object identify();
}
