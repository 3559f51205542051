package io.singleflight.spring;

import io.singleflight.spring.CustomerDatabase.Customer;
import org.springframework.security.core.context.ReactiveSecurityContextHolder;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/** Reactive methods that are shared. */
class ReactiveCustomerService implements AutoCloseable {

  private final CustomerDatabase database;

  /* Not the common one: a query that is held must not keep what else runs there, such as logins. */
  private final Scheduler threads = Schedulers.newBoundedElastic(100, 1_000, "database");

  ReactiveCustomerService(CustomerDatabase database) {
    this.database = database;
  }

  @Override
  public void close() {
    threads.dispose();
  }

  @SharedCall
  public Mono<Customer> find(long id) {
    return query(id);
  }

  @SharedCall(timeout = "200ms")
  public Mono<Customer> findInTime(long id) {
    return query(id);
  }

  @SharedCall
  public Mono<String> nickname(long id) {
    return Mono.fromCallable(() -> database.held.<String>perform(null)).subscribeOn(threads);
  }

  @SharedCall
  public Flux<Customer> all() {
    return Flux.concat(query(1), query(2));
  }

  @SharedCall
  public Mono<String> mine(long id) {
    return ReactiveSecurityContextHolder.getContext()
        .map(context -> context.getAuthentication().getName())
        .flatMap(user -> query(id).map(customer -> customer.name() + " as seen by " + user));
  }

  private Mono<Customer> query(long id) {
    return Mono.fromCallable(() -> database.query(id)).subscribeOn(threads);
  }
}
