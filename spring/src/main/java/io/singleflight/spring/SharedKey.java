package io.singleflight.spring;

import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What calls of an annotated method have to have in common to share an invocation. */
final class SharedKey {

  private final @Nullable Object target;
  private final Method method;
  private final @Nullable Object[] key;
  private final @Nullable Object[] identity;
  private final int hash;

  SharedKey(
      @Nullable Object target,
      Method method,
      @Nullable Object[] key,
      List<? extends @Nullable Object> identity) {
    this.target = target;
    this.method = method;
    this.key = key;
    this.identity = identity.toArray();
    this.hash =
        31 * (31 * method.hashCode() + Arrays.deepHashCode(key))
            + Arrays.deepHashCode(this.identity)
            + System.identityHashCode(target);
  }

  /* Beans of one class, such as two repositories, may well give different answers. */
  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof SharedKey that
        && hash == that.hash
        && target == that.target
        && method.equals(that.method)
        && Arrays.deepEquals(key, that.key)
        && Arrays.deepEquals(identity, that.identity);
  }

  @Override
  public int hashCode() {
    return hash;
  }

  @Override
  public String toString() {
    return "%s.%s%s for %s"
        .formatted(
            method.getDeclaringClass().getSimpleName(),
            method.getName(),
            Arrays.deepToString(key),
            Arrays.deepToString(identity));
  }
}
