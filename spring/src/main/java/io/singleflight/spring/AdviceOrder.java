package io.singleflight.spring;

import org.springframework.aop.Advisor;
import org.springframework.aop.framework.Advised;
import org.springframework.cache.interceptor.BeanFactoryCacheOperationSourceAdvisor;
import org.springframework.core.Ordered;
import org.springframework.transaction.interceptor.BeanFactoryTransactionAttributeSourceAdvisor;
import org.springframework.util.ClassUtils;

/**
 * The place of sharing among other advice: inside the cache, so that a hit needs no flight, and
 * outside transactions, so that nobody gets what has not been committed. Of all other advice it is
 * the innermost.
 */
final class AdviceOrder {

  private static final boolean TRANSACTIONS =
      ClassUtils.isPresent(
          "org.springframework.transaction.interceptor.BeanFactoryTransactionAttributeSourceAdvisor",
          AdviceOrder.class.getClassLoader());

  private AdviceOrder() {}

  static void insert(Advised advised, Advisor sharing) {
    Advisor[] others = advised.getAdvisors();
    int place = 0;
    while (place < others.length && !isTransaction(others[place])) {
      place++;
    }
    advised.addAdvisor(place, sharing);
    // Cache and transaction have the same order unless the user says otherwise: then either may
    // come first.
    for (int i = place + 1; i < others.length; i++) {
      if (others[i] instanceof BeanFactoryCacheOperationSourceAdvisor cache
          && orderOf(cache) == orderOf(others[place])) {
        advised.removeAdvisor(cache);
        advised.addAdvisor(place, cache);
      }
    }
  }

  private static boolean isTransaction(Advisor advisor) {
    return TRANSACTIONS && advisor instanceof BeanFactoryTransactionAttributeSourceAdvisor;
  }

  private static int orderOf(Advisor advisor) {
    return advisor instanceof Ordered ordered ? ordered.getOrder() : Ordered.LOWEST_PRECEDENCE;
  }
}
