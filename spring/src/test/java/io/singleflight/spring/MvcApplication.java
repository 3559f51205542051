package io.singleflight.spring;

import io.singleflight.spring.CustomerDatabase.Customer;
import io.singleflight.spring.CustomerDatabase.NoSuchCustomerException;
import java.util.concurrent.TimeoutException;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Import;
import org.springframework.http.HttpStatus;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.crypto.password.PasswordEncoder;
import org.springframework.security.provisioning.InMemoryUserDetailsManager;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

/** A servlet application. */
@SpringBootConfiguration(proxyBeanMethods = false)
@EnableAutoConfiguration
@Import({Held.class, CustomerDatabase.class, CustomerService.class, MvcApplication.Customers.class})
class MvcApplication {

  @Bean
  SecurityFilterChain security(HttpSecurity http) {
    return http.authorizeHttpRequests(requests ->
            requests.requestMatchers("/mine/**").authenticated().anyRequest().permitAll())
        .httpBasic(Customizer.withDefaults())
        .csrf(csrf -> csrf.disable())
        .build();
  }

  @Bean
  InMemoryUserDetailsManager users() {
    return new InMemoryUserDetailsManager(Users.ALL);
  }

  @Bean
  PasswordEncoder passwords() {
    return Users.PLAIN;
  }

  @RestController
  static class Customers {
    private final CustomerService service;

    Customers(CustomerService service) {
      this.service = service;
    }

    @GetMapping("/customers/{id}")
    Customer find(@PathVariable long id) throws NoSuchCustomerException, InterruptedException {
      return service.find(id);
    }

    @GetMapping("/in-time/{id}")
    Customer findInTime(@PathVariable long id) throws Exception {
      return service.findInTime(id);
    }

    @GetMapping("/nicknames/{id}")
    String nickname(@PathVariable long id) throws InterruptedException {
      return "nickname: " + service.nickname(id);
    }

    @GetMapping("/mine/{id}")
    String mine(@PathVariable long id) throws NoSuchCustomerException, InterruptedException {
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
