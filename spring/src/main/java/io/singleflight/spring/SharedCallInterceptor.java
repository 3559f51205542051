package io.singleflight.spring;

import org.aopalliance.intercept.MethodInterceptor;
import org.aopalliance.intercept.MethodInvocation;
import org.jspecify.annotations.Nullable;
import org.springframework.aop.support.AopUtils;
import org.springframework.beans.factory.BeanFactory;
import org.springframework.context.expression.BeanFactoryResolver;
import org.springframework.context.expression.MethodBasedEvaluationContext;
import org.springframework.expression.EvaluationContext;
import org.springframework.util.function.SingletonSupplier;

/** The advice of annotated methods. */
final class SharedCallInterceptor implements MethodInterceptor {

  private final SharedMethods methods;
  private final BeanFactory beans;
  private final Callers callers;

  /* Not at once: bean post-processors must not drag other beans into being. */
  private final SingletonSupplier<SingleFlights> instances;

  SharedCallInterceptor(SharedMethods methods, BeanFactory beans) {
    this.methods = methods;
    this.beans = beans;
    this.callers = new Callers(beans);
    this.instances = SingletonSupplier.of(() -> beans.getBean(SingleFlights.class));
  }

  @Override
  public @Nullable Object invoke(MethodInvocation invocation) throws Throwable {
    Object target = invocation.getThis();
    SharedMethod method =
        methods.find(
            invocation.getMethod(), target == null ? null : AopUtils.getTargetClass(target));
    // What a transaction sees is for itself: its own changes, and what it began with.
    if (method == null || Transactions.isActive()) {
      return invocation.proceed();
    }
    EvaluationContext context = null;
    if (method.needsEvaluation()) {
      context = contextOf(method, invocation);
      if (!method.isShared(context)) {
        return invocation.proceed();
      }
    }
    return new SharedInvocation(method, invocation, instances.obtain(), callers, context).share();
  }

  private EvaluationContext contextOf(SharedMethod method, MethodInvocation invocation) {
    MethodBasedEvaluationContext context =
        new MethodBasedEvaluationContext(
            null, method.method, invocation.getArguments(), SharedMethod.NAMES);
    context.setBeanResolver(new BeanFactoryResolver(beans));
    return context;
  }
}
