package io.singleflight.spring;

import io.singleflight.FlightListener;
import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.BeanNotOfRequiredTypeException;
import org.springframework.beans.factory.ListableBeanFactory;
import org.springframework.beans.factory.NoSuchBeanDefinitionException;
import org.springframework.boot.context.properties.source.InvalidConfigurationPropertyValueException;

/** Makes instances of their properties. */
final class InstanceFactory {

  private final Map<String, SingleFlightProperties.Instance> properties;
  private final ListableBeanFactory beans;
  private final List<SingleFlightCustomizer> customizers;
  private final @Nullable InstanceBuilder observed;

  InstanceFactory(
      SingleFlightProperties properties,
      ListableBeanFactory beans,
      List<SingleFlightCustomizer> customizers,
      @Nullable InstanceBuilder observed) {
    this.properties = properties.instances();
    this.beans = beans;
    this.customizers = customizers;
    this.observed = observed;
  }

  SingleFlight<Object, @Nullable Object> create(String name) {
    SingleFlight.Builder<Object, @Nullable Object> builder =
        SingleFlight.<Object, @Nullable Object>builder().name(name);
    SingleFlightProperties.Instance options = properties.get(name);
    if (options != null) {
      set(builder, name, options);
    }
    customizers.forEach(customizer -> customizer.customize(name, builder));
    SingleFlight<Object, @Nullable Object> instance = build(builder, name, options);
    customizers.forEach(customizer -> customizer.built(name, instance));
    return instance;
  }

  private SingleFlight<Object, @Nullable Object> build(
      SingleFlight.Builder<Object, @Nullable Object> builder,
      String name,
      SingleFlightProperties.@Nullable Instance options) {
    Duration maxJoinAge = options == null ? null : options.maxJoinAge();
    try {
      return observed == null ? builder.build() : observed.build(name, builder);
    } catch (IllegalStateException e) {
      throw maxJoinAge == null ? e : invalid(name, "max-join-age", maxJoinAge, e);
    }
  }

  private void set(
      SingleFlight.Builder<Object, @Nullable Object> builder,
      String name,
      SingleFlightProperties.Instance options) {
    if (options.executor() != null) {
      builder.executor(bean(name, "executor", options.executor(), Executor.class));
    }
    builder.freshness(options.freshness());
    if (options.maxJoinAge() != null) {
      try {
        builder.maxJoinAge(options.maxJoinAge());
      } catch (IllegalArgumentException e) {
        throw invalid(name, "max-join-age", options.maxJoinAge(), e);
      }
    }
    if (options.maxFollowers() != null) {
      try {
        builder.maxFollowers(options.maxFollowers());
      } catch (IllegalArgumentException e) {
        throw invalid(name, "max-followers", options.maxFollowers(), e);
      }
    }
    for (Class<?> type : options.handOffOn()) {
      if (!Throwable.class.isAssignableFrom(type)) {
        throw new InvalidConfigurationPropertyValueException(
            property(name, "hand-off-on"), type.getName(), "It is not a type of failure.");
      }
    }
    builder.handOffOn(
        failure -> options.handOffOn().stream().anyMatch(type -> type.isInstance(failure)));
    for (String listener : options.listeners()) {
      builder.listener(listener(name, listener));
    }
  }

  @SuppressWarnings("unchecked") // keys of an instance are of any type
  private FlightListener<Object> listener(String name, String listener) {
    return (FlightListener<Object>) bean(name, "listeners", listener, FlightListener.class);
  }

  private <T> T bean(String name, String option, String bean, Class<T> type) {
    try {
      return beans.getBean(bean, type);
    } catch (NoSuchBeanDefinitionException | BeanNotOfRequiredTypeException e) {
      throw new InvalidConfigurationPropertyValueException(
          property(name, option),
          bean,
          "It is not the name of a bean of type %s; there are %s."
              .formatted(type.getSimpleName(), List.of(beans.getBeanNamesForType(type))),
          e);
    }
  }

  private static InvalidConfigurationPropertyValueException invalid(
      String name, String option, Object value, RuntimeException reason) {
    return new InvalidConfigurationPropertyValueException(
        property(name, option), value, String.valueOf(reason.getMessage()), reason);
  }

  private static String property(String name, String option) {
    return SingleFlightProperties.PREFIX + ".instances." + name + "." + option;
  }
}
