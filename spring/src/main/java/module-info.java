/**
 * Call sharing for Spring Boot: {@code @SharedCall}, properties, a cache adapter and an actuator
 * endpoint. Spring Security, Reactor, Spring's transactions and the actuator are served where they
 * are present.
 */
@org.jspecify.annotations.NullMarked
module io.singleflight.spring {
  requires transitive io.singleflight;
  requires static io.singleflight.micrometer;
  requires static micrometer.core;
  requires static micrometer.observation;
  requires static micrometer.tracing;
  requires static org.jspecify;
  requires static org.reactivestreams;
  requires static reactor.core;
  requires spring.aop;
  requires spring.beans;
  requires spring.boot;
  requires spring.boot.autoconfigure;
  requires static spring.boot.actuator;
  requires static spring.boot.actuator.autoconfigure;
  requires static spring.boot.cache;
  requires spring.context;
  requires spring.core;
  requires spring.expression;
  requires static spring.security.core;
  requires static spring.tx;
  requires static spring.web;

  exports io.singleflight.spring;

  opens io.singleflight.spring;
}
