package io.singleflight.spring.examples;

import java.util.List;

/** What the examples ask. */
class CustomerDatabase {

  record Customer(long id, String name) {}

  record Country(String name) {}

  record Prices(String tenant) {}

  record Order(long id) {}

  Customer customerByName(String name) {
    return new Customer(1, name);
  }

  Customer customerById(long id) {
    return new Customer(id, "ada");
  }

  List<Country> countries() {
    return List.of(new Country("Iceland"));
  }

  Prices pricesOf(String tenant) {
    return new Prices(tenant);
  }
}
