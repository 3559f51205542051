package io.singleflight.spring;

import java.lang.reflect.Method;
import org.springframework.aop.Advisor;
import org.springframework.aop.framework.Advised;
import org.springframework.aop.framework.AopInfrastructureBean;
import org.springframework.aop.framework.autoproxy.AbstractBeanFactoryAwareAdvisingPostProcessor;
import org.springframework.aop.support.AopUtils;
import org.springframework.aop.support.DefaultPointcutAdvisor;
import org.springframework.aop.support.StaticMethodMatcherPointcut;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;

/** Advises the beans that have annotated methods, in the right place among other advice. */
@SuppressWarnings("serial") // only its supertypes claim to be serializable
final class SharedCallPostProcessor extends AbstractBeanFactoryAwareAdvisingPostProcessor {

  /** The name of the bean that is there if only Mono and Flux know the principal. */
  static final String WEB_FLUX_SECURITY = "singleFlightWebFluxSecurity";

  private final transient SharedMethods methods;

  SharedCallPostProcessor(ConfigurableListableBeanFactory beans) {
    this.methods =
        new SharedMethods(beans::resolveEmbeddedValue, beans.containsBean(WEB_FLUX_SECURITY));
    this.advisor =
        new DefaultPointcutAdvisor(
            new StaticMethodMatcherPointcut() {
              @Override
              public boolean matches(Method method, Class<?> targetClass) {
                return methods.find(method, targetClass) != null;
              }
            },
            new SharedCallInterceptor(methods, beans));
  }

  @Override
  protected boolean isEligible(Class<?> targetClass) {
    return methods.in(targetClass);
  }

  @Override
  public Object postProcessAfterInitialization(Object bean, String beanName) {
    Advisor sharing = advisor;
    if (sharing != null
        && bean instanceof Advised advised
        && !(bean instanceof AopInfrastructureBean)
        && !advised.isFrozen()
        && isEligible(AopUtils.getTargetClass(bean))) {
      AdviceOrder.insert(advised, sharing);
      return bean;
    }
    return super.postProcessAfterInitialization(bean, beanName);
  }
}
