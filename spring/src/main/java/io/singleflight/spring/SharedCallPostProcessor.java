package io.singleflight.spring;

import java.lang.reflect.Method;
import java.util.List;
import org.springframework.aop.Advisor;
import org.springframework.aop.framework.Advised;
import org.springframework.aop.framework.AopInfrastructureBean;
import org.springframework.aop.framework.ProxyFactory;
import org.springframework.aop.framework.autoproxy.AbstractBeanFactoryAwareAdvisingPostProcessor;
import org.springframework.aop.support.AopUtils;
import org.springframework.aop.support.DefaultPointcutAdvisor;
import org.springframework.aop.support.StaticMethodMatcherPointcut;
import org.springframework.aop.target.EmptyTargetSource;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.beans.factory.support.MergedBeanDefinitionPostProcessor;
import org.springframework.beans.factory.support.RootBeanDefinition;

/**
 * Advises the beans that have annotated methods, in the right place among other advice. It is a
 * post-processor of bean definitions for the only reason that these come last, when all other
 * advice is there.
 */
@SuppressWarnings("serial") // only its supertypes claim to be serializable
final class SharedCallPostProcessor extends AbstractBeanFactoryAwareAdvisingPostProcessor
    implements MergedBeanDefinitionPostProcessor {

  /** The name of the bean that is there if only Mono and Flux know the principal. */
  static final String WEB_FLUX_SECURITY = "singleFlightWebFluxSecurity";

  private final transient SharedMethods methods;
  private final transient Advisor sharing;

  SharedCallPostProcessor(ConfigurableListableBeanFactory beans) {
    this.methods = new SharedMethods(beans, beans.containsBean(WEB_FLUX_SECURITY));
    this.sharing =
        new DefaultPointcutAdvisor(
            new StaticMethodMatcherPointcut() {
              @Override
              public boolean matches(Method method, Class<?> targetClass) {
                return methods.find(method, targetClass) != null;
              }
            },
            new SharedCallInterceptor(methods, beans));
    this.advisor = sharing;
  }

  @Override
  public void postProcessMergedBeanDefinition(
      RootBeanDefinition definition, Class<?> type, String name) {}

  @Override
  protected boolean isEligible(Class<?> targetClass) {
    return !methods.in(targetClass).isEmpty();
  }

  @Override
  public Object postProcessAfterInitialization(Object bean, String beanName) {
    if (!(bean instanceof Advised advised) || bean instanceof AopInfrastructureBean) {
      return super.postProcessAfterInitialization(bean, beanName);
    }
    Class<?> target =
        advised.getTargetSource() instanceof EmptyTargetSource ? null : advised.getTargetClass();
    List<SharedMethod> ofTarget = target == null ? List.of() : methods.in(target);
    if (target != null && !ofTarget.isEmpty() && !advised.isFrozen()) {
      new AdviceOrder(target, ofTarget).insert(advised, sharing);
      return bean;
    }
    // Else its own advice answers, such as that of an HTTP client, or cannot be added to.
    Class<?> type = ofTarget.isEmpty() ? bean.getClass() : AopUtils.getTargetClass(bean);
    List<SharedMethod> ofBean = methods.in(type);
    if (ofBean.isEmpty()) {
      return bean;
    }
    new AdviceOrder(type, ofBean).failIfSecurityWithin(bean);
    return proxyAround(bean, beanName);
  }

  private Object proxyAround(Object bean, String beanName) {
    ProxyFactory factory = prepareProxyFactory(bean, beanName);
    if (!factory.isProxyTargetClass()) {
      evaluateProxyInterfaces(bean.getClass(), factory);
    }
    factory.addAdvisor(sharing);
    return factory.getProxy(getProxyClassLoader());
  }
}
