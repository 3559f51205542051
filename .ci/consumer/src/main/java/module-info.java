open module consumer {
  requires io.singleflight;
  requires io.singleflight.micrometer;
  requires io.singleflight.reactor;
  requires io.singleflight.spring;

  requires micrometer.tracing;
  requires spring.beans;
  requires spring.boot;
  requires spring.boot.autoconfigure;
  requires spring.context;
}
