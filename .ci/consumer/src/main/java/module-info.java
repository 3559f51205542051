module consumer {
  requires io.singleflight;
  requires io.singleflight.micrometer;
  requires io.singleflight.reactor;
}
