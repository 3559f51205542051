package io.singleflight.benchmarks;

import java.util.OptionalInt;

/** One way to share the executions of a function, which was given when it was created. */
@FunctionalInterface
interface Sharing {

  Object call(String key) throws Exception;

  /** Returns how many callers are in a call that has been joined or begun, if that can be told. */
  default OptionalInt callers() {
    return OptionalInt.empty();
  }
}
