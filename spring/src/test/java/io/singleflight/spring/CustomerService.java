package io.singleflight.spring;

import io.singleflight.spring.CustomerDatabase.Customer;
import io.singleflight.spring.CustomerDatabase.NoSuchCustomerException;
import java.util.concurrent.TimeoutException;
import org.springframework.security.core.context.SecurityContextHolder;

/** Blocking methods that are shared. */
class CustomerService {

  private final CustomerDatabase database;

  CustomerService(CustomerDatabase database) {
    this.database = database;
  }

  @SharedCall
  public Customer find(long id) throws NoSuchCustomerException, InterruptedException {
    return database.query(id);
  }

  @SharedCall(timeout = "200ms")
  public Customer findInTime(long id)
      throws NoSuchCustomerException, InterruptedException, TimeoutException {
    return database.query(id);
  }

  @SharedCall
  public String nickname(long id) throws InterruptedException {
    return database.held.perform(null);
  }

  @SharedCall
  public String mine(long id) throws NoSuchCustomerException, InterruptedException {
    Customer customer = database.query(id);
    String user = SecurityContextHolder.getContext().getAuthentication().getName();
    return customer.name() + " as seen by " + user;
  }
}
