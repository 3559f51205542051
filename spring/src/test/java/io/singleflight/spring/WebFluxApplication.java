package io.singleflight.spring;

import io.singleflight.spring.CustomerDatabase.Customer;
import io.singleflight.spring.CustomerDatabase.NoSuchCustomerException;
import java.util.concurrent.TimeoutException;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.reactor.netty.NettyReactiveWebServerFactory;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Import;
import org.springframework.http.HttpStatus;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.web.server.ServerHttpSecurity;
import org.springframework.security.core.userdetails.MapReactiveUserDetailsService;
import org.springframework.security.crypto.password.PasswordEncoder;
import org.springframework.security.web.server.SecurityWebFilterChain;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** A reactive application on Netty. */
@SpringBootConfiguration(proxyBeanMethods = false)
@EnableAutoConfiguration
@Import({
  Held.class,
  CustomerDatabase.class,
  ReactiveCustomerService.class,
  WebFluxApplication.Customers.class
})
class WebFluxApplication {

  @Bean
  NettyReactiveWebServerFactory netty() {
    return new NettyReactiveWebServerFactory();
  }

  @Bean
  SecurityWebFilterChain security(ServerHttpSecurity http) {
    return http.authorizeExchange(
            requests -> requests.pathMatchers("/mine/**").authenticated().anyExchange().permitAll())
        .httpBasic(Customizer.withDefaults())
        .csrf(csrf -> csrf.disable())
        .build();
  }

  @Bean
  MapReactiveUserDetailsService users() {
    return new MapReactiveUserDetailsService(Users.ALL);
  }

  @Bean
  PasswordEncoder passwords() {
    return Users.PLAIN;
  }

  @RestController
  static class Customers {
    private final ReactiveCustomerService service;

    Customers(ReactiveCustomerService service) {
      this.service = service;
    }

    @GetMapping("/customers/{id}")
    Mono<Customer> find(@PathVariable long id) {
      return service.find(id);
    }

    @GetMapping("/customers")
    Flux<Customer> all() {
      return service.all();
    }

    @GetMapping("/in-time/{id}")
    Mono<Customer> findInTime(@PathVariable long id) {
      return service.findInTime(id);
    }

    @GetMapping("/nicknames/{id}")
    Mono<String> nickname(@PathVariable long id) {
      return service.nickname(id).map("nickname: "::concat).defaultIfEmpty("nickname: null");
    }

    @GetMapping("/mine/{id}")
    Mono<String> mine(@PathVariable long id) {
      return service.mine(id);
    }

    @ExceptionHandler
    @ResponseStatus(HttpStatus.NOT_FOUND)
    String notFound(NoSuchCustomerException failure) {
      return failure.getMessage() + " " + System.identityHashCode(failure);
    }

    @ExceptionHandler
    @ResponseStatus(HttpStatus.SERVICE_UNAVAILABLE)
    String late(TimeoutException failure) {
      return failure.getMessage();
    }
  }
}
