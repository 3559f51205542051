/** Call sharing: concurrent callers of one key share one execution, and all get its result. */
@org.jspecify.annotations.NullMarked
module io.singleflight {
  requires static org.jspecify;
  requires static jdk.jfr;

  exports io.singleflight;
}
