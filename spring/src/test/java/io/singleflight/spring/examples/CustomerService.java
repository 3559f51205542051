package io.singleflight.spring.examples;

import io.singleflight.spring.SharedCall;
import io.singleflight.spring.examples.CustomerDatabase.Customer;
import org.springframework.stereotype.Service;

// example
@Service
class CustomerService {
  private final CustomerDatabase database;

  CustomerService(CustomerDatabase database) {
    this.database = database;
  }

  @SharedCall
  public Customer find(String name) {
    return database.customerByName(name);
  }
}
// end
