/** Call sharing for Reactor: concurrent subscribers of a key share one subscription upstream. */
@org.jspecify.annotations.NullMarked
@SuppressWarnings("requires-transitive-automatic") // Reactor has a stable name, but no descriptor
module io.singleflight.reactor {
  requires transitive io.singleflight;
  requires transitive reactor.core;
  requires org.reactivestreams;
  requires static org.jspecify;

  exports io.singleflight.reactor;
}
