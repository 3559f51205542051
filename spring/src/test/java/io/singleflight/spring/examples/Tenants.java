package io.singleflight.spring.examples;

import reactor.core.publisher.Mono;

/** Knows the tenant of the thread, and that of the subscription. */
class Tenants {

  private final ThreadLocal<String> current = ThreadLocal.withInitial(() -> "north");

  public String current() {
    return current.get();
  }

  // example
  public Mono<String> ofSubscription() {
    return Mono.deferContextual(context -> Mono.justOrEmpty(context.getOrEmpty("tenant")));
  }
  // end
}
