package io.singleflight.spring;

import io.singleflight.SingleFlight;
import java.util.Map;
import java.util.Set;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.beans.factory.support.AutowireCandidateQualifier;
import org.springframework.beans.factory.support.BeanDefinitionRegistry;
import org.springframework.beans.factory.support.RootBeanDefinition;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.context.annotation.ImportBeanDefinitionRegistrar;
import org.springframework.core.env.Environment;
import org.springframework.core.type.AnnotationMetadata;

/** Makes a bean of each instance that has properties, qualified by its name. */
final class InstanceRegistrar implements ImportBeanDefinitionRegistrar {

  private final Environment environment;

  InstanceRegistrar(Environment environment) {
    this.environment = environment;
  }

  @Override
  public void registerBeanDefinitions(
      AnnotationMetadata importer, BeanDefinitionRegistry registry) {
    Set<String> names =
        Binder.get(environment)
            .bind(
                SingleFlightProperties.PREFIX + ".instances",
                Bindable.mapOf(String.class, Object.class))
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
}
