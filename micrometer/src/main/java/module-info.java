/** Meters, traces and context propagation for shared calls, by Micrometer. */
@org.jspecify.annotations.NullMarked
@SuppressWarnings({"requires-automatic", "requires-transitive-automatic"}) // no descriptors yet
module io.singleflight.micrometer {
  requires transitive io.singleflight;
  requires transitive micrometer.core;
  requires transitive micrometer.observation;
  requires context.propagation;
  requires micrometer.commons;
  requires static micrometer.tracing;
  requires static org.jspecify;

  exports io.singleflight.micrometer;
}
