package io.singleflight.spring;

import static io.singleflight.spring.Held.awaitCallers;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Proxy;
import org.aopalliance.intercept.MethodInterceptor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.springframework.aop.framework.ProxyFactory;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.core.ParameterizedTypeReference;
import org.springframework.http.HttpHeaders;
import org.springframework.http.ResponseEntity;
import org.springframework.web.service.annotation.GetExchange;
import org.springframework.web.service.annotation.HttpExchange;
import org.springframework.web.service.invoker.HttpExchangeAdapter;
import org.springframework.web.service.invoker.HttpRequestValues;
import org.springframework.web.service.invoker.HttpServiceProxyFactory;

/** The annotation on interfaces that have no class: their proxy's own advice answers. */
class ClientTest {

  @RegisterExtension final Calls calls = new Calls();

  private final ApplicationContextRunner runner =
      new ApplicationContextRunner()
          .withConfiguration(AutoConfigurations.of(SingleFlightAutoConfiguration.class));

  @HttpExchange
  interface Client {
    @SharedCall
    @GetExchange("/customers")
    String customers();
  }

  /** A server that is asked by way of no network. */
  private static final class Server implements HttpExchangeAdapter {
    final Held held = new Held();
    final String answer;

    Server(String answer) {
      this.answer = answer;
    }

    Client client() {
      return HttpServiceProxyFactory.builderFor(this).build().createClient(Client.class);
    }

    @Override
    @SuppressWarnings("unchecked")
    public <T> T exchangeForBody(HttpRequestValues request, ParameterizedTypeReference<T> type) {
      try {
        return (T) held.perform(answer);
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }

    @Override
    public boolean supportsRequestAttributes() {
      return false;
    }

    @Override
    public void exchange(HttpRequestValues request) {
      throw new UnsupportedOperationException();
    }

    @Override
    public HttpHeaders exchangeForHeaders(HttpRequestValues request) {
      throw new UnsupportedOperationException();
    }

    @Override
    public ResponseEntity<Void> exchangeForBodilessEntity(HttpRequestValues request) {
      throw new UnsupportedOperationException();
    }

    @Override
    public <T> ResponseEntity<T> exchangeForEntity(
        HttpRequestValues request, ParameterizedTypeReference<T> type) {
      throw new UnsupportedOperationException();
    }
  }

  @Test
  void httpClients_shareEachItsOwnCalls() {
    Server north = new Server("north");
    Server south = new Server("south");
    runner
        .withBean("north", Client.class, north::client)
        .withBean("south", Client.class, south::client)
        .run(context -> {
          Client toNorth = context.getBean("north", Client.class);
          Client toSouth = context.getBean("south", Client.class);
          var one = calls.start(toNorth::customers);
          var two = calls.start(toNorth::customers);
          var other = calls.start(toSouth::customers);
          awaitCallers(context.getBean(SingleFlights.class), "default", 3);
          north.held.open();
          south.held.open();
          assertThat(Calls.get(one)).isEqualTo("north").isEqualTo(Calls.get(two));
          assertThat(Calls.get(other)).isEqualTo("south");
          assertThat(north.held.begun).hasValue(1);
          assertThat(south.held.begun).hasValue(1);
        });
  }

  interface Customers {
    @SharedCall
    String byName(String name);
  }

  /** What a repository's proxy has for a target: it knows nothing of the queries. */
  static class Crud {}

  @Test
  void repository_whoseTargetHasNoSuchMethod_isShared() {
    Held held = new Held();
    ProxyFactory repository = new ProxyFactory();
    repository.setTarget(new Crud());
    repository.setInterfaces(Customers.class);
    repository.addAdvice((MethodInterceptor) query -> held.perform(query.getArguments()[0]));
    runner
        .withBean(Customers.class, () -> (Customers) repository.getProxy())
        .run(context -> {
          Customers customers = context.getBean(Customers.class);
          assertThat(Proxy.isProxyClass(customers.getClass())).isTrue();
          var one = calls.start(() -> customers.byName("ada"));
          var two = calls.start(() -> customers.byName("ada"));
          awaitCallers(context.getBean(SingleFlights.class), "default", 2);
          held.open();
          assertThat(Calls.get(one)).isEqualTo("ada").isEqualTo(Calls.get(two));
          assertThat(held.begun).hasValue(1);
        });
  }
}
