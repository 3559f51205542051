package io.singleflight.spring;

import io.singleflight.spring.Callers.LocaleAndZone;
import org.springframework.web.filter.reactive.ServerWebExchangeContextFilter;
import org.springframework.web.server.ServerWebExchange;
import reactor.core.publisher.Mono;

/** The locale and time zone of the exchange, where Spring has put that into the Reactor context. */
final class ExchangePlace implements SubscriberIdentity {

  @Override
  public Object identify() {
    return Mono.deferContextual(context ->
        Mono.justOrEmpty(
            ServerWebExchangeContextFilter.getExchange(context)
                .or(() -> context.getOrEmpty(ServerWebExchange.class)) // as Spring Security does
                .map(exchange -> LocaleAndZone.of(exchange.getLocaleContext()))));
  }
}
