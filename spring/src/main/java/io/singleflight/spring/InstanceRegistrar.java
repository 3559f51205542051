package io.singleflight.spring;

import io.singleflight.SingleFlight;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.beans.factory.support.AutowireCandidateQualifier;
import org.springframework.beans.factory.support.BeanDefinitionRegistry;
import org.springframework.beans.factory.support.RootBeanDefinition;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.bind.DataObjectPropertyName;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName.Form;
import org.springframework.boot.context.properties.source.ConfigurationPropertySource;
import org.springframework.boot.context.properties.source.ConfigurationPropertySources;
import org.springframework.boot.context.properties.source.InvalidConfigurationPropertyValueException;
import org.springframework.boot.context.properties.source.IterableConfigurationPropertySource;
import org.springframework.context.annotation.ImportBeanDefinitionRegistrar;
import org.springframework.core.env.Environment;
import org.springframework.core.type.AnnotationMetadata;

/** Makes a bean of each instance that has properties, qualified by its name. */
final class InstanceRegistrar implements ImportBeanDefinitionRegistrar {

  private static final ConfigurationPropertyName INSTANCES =
      ConfigurationPropertyName.of(SingleFlightProperties.PREFIX + ".instances");

  private static final List<String> OPTIONS =
      Arrays.stream(SingleFlightProperties.Instance.class.getRecordComponents())
          .map(option -> DataObjectPropertyName.toDashedForm(option.getName()))
          .toList();

  private final Environment environment;

  InstanceRegistrar(Environment environment) {
    this.environment = environment;
  }

  @Override
  public void registerBeanDefinitions(
      AnnotationMetadata importer, BeanDefinitionRegistry registry) {
    failOnUnknownOptions();
    Set<String> names =
        Binder.get(environment)
            .bind(INSTANCES, Bindable.mapOf(String.class, Object.class))
            .orElse(Map.of())
            .keySet();
    for (String name : names) {
      RootBeanDefinition instance = new RootBeanDefinition(SingleFlight.class);
      instance.setFactoryBeanName(SingleFlightAutoConfiguration.INSTANCES);
      instance.setFactoryMethodName("get");
      instance.getConstructorArgumentValues().addIndexedArgumentValue(0, name);
      instance.addQualifier(new AutowireCandidateQualifier(Qualifier.class, name));
      // Not the bare name: an application may well have a bean "customers" of its own.
      registry.registerBeanDefinition(name + "SingleFlight", instance);
    }
  }

  /* Boot refuses unknown names too, but not those of system properties and environment variables. */
  private void failOnUnknownOptions() {
    for (ConfigurationPropertySource source : ConfigurationPropertySources.get(environment)) {
      if (source instanceof IterableConfigurationPropertySource properties) {
        properties.stream()
            .filter(property -> INSTANCES.isAncestorOf(property) && !isOption(property))
            .forEach(property -> {
              throw new InvalidConfigurationPropertyValueException(
                  property.toString(),
                  environment.getProperty(property.toString()),
                  "There is no such option; there are %s.".formatted(OPTIONS));
            });
      }
    }
  }

  /* In an environment variable, an underscore may stand for a dash as well as for a dot. */
  private static boolean isOption(ConfigurationPropertyName property) {
    String option =
        IntStream.range(INSTANCES.getNumberOfElements() + 1, property.getNumberOfElements())
            .filter(index -> !property.isNumericIndex(index))
            .mapToObj(index -> property.getElement(index, Form.UNIFORM))
            .collect(Collectors.joining());
    return option.isEmpty()
        || OPTIONS.stream().map(dashed -> dashed.replace("-", "")).anyMatch(option::equals);
  }
}
