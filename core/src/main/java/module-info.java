/**
 * Call sharing: concurrent callers of one key share one execution, and all get its result. It needs
 * nothing but {@code java.base}; where {@code jdk.jfr} is present, each flight is a JFR event
 * {@code io.singleflight.Flight}.
 */
@org.jspecify.annotations.NullMarked
module io.singleflight {
  requires static org.jspecify;
  requires static jdk.jfr;

  exports io.singleflight;
}
