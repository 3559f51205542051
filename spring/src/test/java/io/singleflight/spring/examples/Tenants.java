package io.singleflight.spring.examples;

/** Knows the tenant of the thread. */
class Tenants {

  private final ThreadLocal<String> current = ThreadLocal.withInitial(() -> "north");

  public String current() {
    return current.get();
  }
}
