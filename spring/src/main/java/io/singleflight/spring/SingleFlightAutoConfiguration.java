package io.singleflight.spring;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.tracing.Tracer;
import io.singleflight.micrometer.FlightMeters;
import io.singleflight.micrometer.FlightTracingObservationHandler;
import org.springframework.beans.factory.ListableBeanFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.BeanDefinition;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.LazyInitializationExcludeFilter;
import org.springframework.boot.actuate.autoconfigure.endpoint.condition.ConditionalOnAvailableEndpoint;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.boot.cache.metrics.CacheMeterBinderProvider;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Condition;
import org.springframework.context.annotation.ConditionContext;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Role;
import org.springframework.core.annotation.Order;
import org.springframework.core.type.AnnotatedTypeMetadata;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.core.context.SecurityContextHolderStrategy;
import org.springframework.web.filter.reactive.ServerWebExchangeContextFilter;
import reactor.core.publisher.Mono;

/**
 * Auto-configuration of {@link SharedCall}, the instances, the coalescing of caches and the
 * actuator endpoint.
 */
@AutoConfiguration(
    afterName = {
      "org.springframework.boot.micrometer.observation.autoconfigure.ObservationAutoConfiguration",
      "org.springframework.boot.micrometer.tracing.brave.autoconfigure.BraveAutoConfiguration",
      "org.springframework.boot.micrometer.tracing.opentelemetry.autoconfigure.OpenTelemetryTracingAutoConfiguration"
    })
@EnableConfigurationProperties(SingleFlightProperties.class)
@Import(InstanceRegistrar.class)
public final class SingleFlightAutoConfiguration {

  static final String INSTANCES = "singleFlights";

  SingleFlightAutoConfiguration() {}

  @Bean(INSTANCES)
  SingleFlights singleFlights(
      SingleFlightProperties properties,
      ListableBeanFactory beans,
      ObjectProvider<SingleFlightCustomizer> customizers,
      ObjectProvider<InstanceBuilder> observed) {
    return new SingleFlights(
        properties.instances().keySet(),
        new InstanceFactory(
            properties, beans, customizers.orderedStream().toList(), observed.getIfAvailable()));
  }

  /** A mistake in the properties fails the start, not the first call. */
  @Bean
  static LazyInitializationExcludeFilter singleFlightsAreNotLazy() {
    return LazyInitializationExcludeFilter.forBeanTypes(SingleFlights.class);
  }

  @Bean
  @Role(BeanDefinition.ROLE_INFRASTRUCTURE)
  static SharedCallPostProcessor sharedCallPostProcessor(ConfigurableListableBeanFactory beans) {
    return new SharedCallPostProcessor(beans);
  }

  @Configuration(proxyBeanMethods = false)
  @Conditional(CacheEnabled.class)
  static class CacheConfiguration {

    @Bean
    @Role(BeanDefinition.ROLE_INFRASTRUCTURE)
    static CoalescingCaches coalescingCaches(ObjectProvider<SingleFlights> instances) {
      return new CoalescingCaches(instances);
    }

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass({CacheMeterBinderProvider.class, MeterRegistry.class})
    static class CacheMetersConfiguration {

      @Bean
      CacheMeters singleFlightCacheMeters(ObjectProvider<CacheMeterBinderProvider<?>> providers) {
        return new CacheMeters(providers);
      }
    }
  }

  /* Boot's conditions on properties know no words but true and false: to one "off" is on, to the
   * other "on" is off. */
  static class CacheEnabled implements Condition {

    @Override
    public boolean matches(ConditionContext context, AnnotatedTypeMetadata metadata) {
      return Binder.get(context.getEnvironment())
          .bind(SingleFlightProperties.PREFIX + ".cache.enabled", Boolean.class)
          .orElse(false);
    }
  }

  @Configuration(proxyBeanMethods = false)
  @ConditionalOnClass({FlightMeters.class, MeterRegistry.class})
  static class MetersConfiguration {

    @Bean
    SingleFlightCustomizer singleFlightMeters(ObjectProvider<MeterRegistry> registry) {
      return new InstanceMeters(registry);
    }
  }

  @Configuration(proxyBeanMethods = false)
  @ConditionalOnClass({FlightTracingObservationHandler.class, Tracer.class})
  @ConditionalOnBean({Tracer.class, ObservationRegistry.class})
  static class TracingConfiguration {

    /** Comes before Boot's own handler, which would trace flights without their links. */
    @Bean
    @Order(0)
    FlightTracingObservationHandler singleFlightTracing(Tracer tracer) {
      return new FlightTracingObservationHandler(tracer);
    }

    @Bean
    InstanceBuilder observedSingleFlights(ObservationRegistry registry) {
      return new ObservedInstances(registry);
    }
  }

  @Configuration(proxyBeanMethods = false)
  @ConditionalOnClass(SecurityContextHolder.class)
  static class SecurityConfiguration {

    @Bean
    CallerIdentity singleFlightPrincipal(ObjectProvider<SecurityContextHolderStrategy> strategy) {
      SecurityContextHolderStrategy ofApplication = strategy.getIfUnique();
      return new Principals.OfThread(
          ofApplication == null
              ? SecurityContextHolder::getContextHolderStrategy // which may change at any time
              : () -> ofApplication);
    }
  }

  @Configuration(proxyBeanMethods = false)
  @ConditionalOnClass({SecurityContextHolder.class, Mono.class})
  static class ReactiveSecurityConfiguration {

    @Bean
    CallerIdentity singleFlightSubscriberPrincipal() {
      return new Principals.OfSubscription();
    }

    @Bean(SharedCallPostProcessor.WEB_FLUX_SECURITY)
    @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.REACTIVE)
    Object singleFlightWebFluxSecurity() {
      return new Object();
    }
  }

  @Configuration(proxyBeanMethods = false)
  @ConditionalOnClass({ServerWebExchangeContextFilter.class, Mono.class})
  @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.REACTIVE)
  static class WebFluxConfiguration {

    @Bean
    CallerIdentity singleFlightExchangePlace() {
      return new ExchangePlace();
    }
  }

  @Configuration(proxyBeanMethods = false)
  @ConditionalOnClass(ConditionalOnAvailableEndpoint.class)
  static class EndpointConfiguration {

    @Bean
    @ConditionalOnAvailableEndpoint(SingleFlightEndpoint.class)
    SingleFlightEndpoint singleFlightEndpoint(SingleFlights instances) {
      return new SingleFlightEndpoint(instances);
    }
  }
}
