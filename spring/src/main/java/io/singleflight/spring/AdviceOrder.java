package io.singleflight.spring;

import java.lang.reflect.Method;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.aop.Advisor;
import org.springframework.aop.PointcutAdvisor;
import org.springframework.aop.framework.Advised;
import org.springframework.aop.framework.AopProxyUtils;
import org.springframework.aop.support.AbstractBeanFactoryPointcutAdvisor;
import org.springframework.cache.interceptor.BeanFactoryCacheOperationSourceAdvisor;
import org.springframework.core.Ordered;
import org.springframework.transaction.interceptor.BeanFactoryTransactionAttributeSourceAdvisor;
import org.springframework.transaction.interceptor.TransactionInterceptor;
import org.springframework.util.ClassUtils;

/**
 * The place of sharing among other advice: inside method security and validation, so that each
 * caller is checked by itself; inside the cache, so that a hit needs no flight; outside
 * transactions, so that nobody gets what has not been committed; and outside concurrency limits, so
 * that who only waits is not counted. Of all other advice it is the innermost.
 */
final class AdviceOrder {

  private static final boolean TRANSACTIONS =
      ClassUtils.isPresent(
          "org.springframework.transaction.interceptor.BeanFactoryTransactionAttributeSourceAdvisor",
          AdviceOrder.class.getClassLoader());

  private static final String SECURITY = "org.springframework.security.";
  private static final String VALIDATION =
      "org.springframework.validation.beanvalidation.MethodValidation";
  private static final String LIMIT = "org.springframework.resilience.annotation.ConcurrencyLimit";

  private final Class<?> type;
  private final List<SharedMethod> methods;

  AdviceOrder(Class<?> type, List<SharedMethod> methods) {
    this.type = type;
    this.methods = methods;
  }

  /** Inserts the advice of sharing into that of a bean. */
  void insert(Advised advised, Advisor sharing) {
    Advisor[] others = advised.getAdvisors();
    int place = 0;
    while (place < others.length && !isTransaction(others[place])) {
      place++;
    }
    for (int i = place + 1; i < others.length; i++) {
      failIfSecurity(others[i]);
    }
    failIfSecurityWithin(AopProxyUtils.getSingletonTarget(advised));
    advised.addAdvisor(place, sharing);
    for (int i = 0; i < others.length; i++) {
      if (i > place && belongsOutside(others[i], others[place])) {
        advised.removeAdvisor(others[i]);
        advised.addAdvisor(advised.indexOf(sharing), others[i]);
      } else if (i < place && isOf(LIMIT, others[i])) {
        advised.removeAdvisor(others[i]);
        advised.addAdvisor(advised.indexOf(sharing) + 1, others[i]);
      }
    }
  }

  /** Refuses a bean to stand outside of, if its own advice is method security. */
  void failIfSecurityWithin(@Nullable Object bean) {
    Object inner = bean;
    while (inner instanceof Advised advised) {
      for (Advisor advisor : advised.getAdvisors()) {
        failIfSecurity(advisor);
      }
      inner = AopProxyUtils.getSingletonTarget(advised);
    }
  }

  private void failIfSecurity(Advisor advisor) {
    if (isOf(SECURITY, advisor)) {
      for (SharedMethod method : methods) {
        if (applies(advisor, method.method)) {
          throw method.invalid(
              "method security comes inside of sharing, so that callers would get what they are not"
                  + " authorized for",
              "order method security outside of transactions, which is so by default: leave out the"
                  + " order of @EnableTransactionManagement, or give @EnableMethodSecurity an offset"
                  + " that comes before it");
        }
      }
    }
  }

  /* Cache and transaction have the same order unless the user says otherwise: then either may come
   * first. Validation comes last. */
  private static boolean belongsOutside(Advisor advisor, Advisor transaction) {
    return isOf(VALIDATION, advisor)
        || advisor instanceof BeanFactoryCacheOperationSourceAdvisor cache
            && orderOf(cache) == orderOf(transaction);
  }

  private boolean isTransaction(Advisor advisor) {
    return TRANSACTIONS
        && (advisor instanceof BeanFactoryTransactionAttributeSourceAdvisor
            || adviceOf(advisor) instanceof TransactionInterceptor)
        && methods.stream().anyMatch(method -> applies(advisor, method.method));
  }

  private boolean applies(Advisor advisor, Method method) {
    return !(advisor instanceof PointcutAdvisor pointcut)
        || pointcut.getPointcut().getMethodMatcher().matches(method, type);
  }

  /* By name: what is not on the class path need not be looked for. */
  private static boolean isOf(String name, Advisor advisor) {
    return advisor.getClass().getName().startsWith(name)
        || adviceOf(advisor).getClass().getName().startsWith(name);
  }

  /* The advice of some is a bean, which should not be made for this. */
  private static Object adviceOf(Advisor advisor) {
    return advisor instanceof AbstractBeanFactoryPointcutAdvisor ? advisor : advisor.getAdvice();
  }

  private static int orderOf(Advisor advisor) {
    return advisor instanceof Ordered ordered ? ordered.getOrder() : Ordered.LOWEST_PRECEDENCE;
  }
}
