package io.singleflight.benchmarks;

/** One way to share the executions of a function, which was given when it was created. */
@FunctionalInterface
interface Sharing {

  Object call(String key) throws Exception;
}
