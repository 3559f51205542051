package io.singleflight.spring;

import java.lang.reflect.Method;

/** A mistake in an annotation, told with its remedy. */
final class InvalidSharedCallException extends RuntimeException {

  private static final long serialVersionUID = 1;

  private final String problem;
  private final String remedy;

  InvalidSharedCallException(Method method, String problem, String remedy) {
    super("@SharedCall of " + method.toGenericString() + ": " + problem + "; " + remedy);
    this.problem = "@SharedCall of " + method.toGenericString() + ": " + problem + ".";
    this.remedy = remedy;
  }

  String problem() {
    return problem;
  }

  String remedy() {
    return remedy;
  }
}
