package io.singleflight.spring;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.aopalliance.intercept.MethodInvocation;
import org.jspecify.annotations.Nullable;
import org.springframework.aop.ProxyMethodInvocation;
import org.springframework.aop.interceptor.ExposeInvocationInterceptor;
import org.springframework.expression.EvaluationContext;
import org.springframework.util.ClassUtils;
import org.springframework.util.ReflectionUtils;

/** One call of an annotated method. */
final class SharedInvocation {

  private static final boolean REACTOR =
      ClassUtils.isPresent("reactor.core.publisher.Mono", SharedInvocation.class.getClassLoader());

  private final SharedMethod method;
  private final MethodInvocation invocation;
  private final SingleFlight<Object, @Nullable Object> flights;
  private final Callers callers;
  private final UnaryOperator<Runnable> context;
  private final @Nullable Object[] key;
  private final List<@Nullable Object> identity;

  SharedInvocation(
      SharedMethod method,
      MethodInvocation invocation,
      SingleFlights instances,
      Callers callers,
      @Nullable EvaluationContext evaluation) {
    this.method = method;
    this.invocation = invocation;
    this.flights = instances.get(method.name);
    this.callers = callers;
    this.context = method.changesThread() ? callers.capture() : UnaryOperator.identity();
    this.key = method.key(invocation.getArguments(), evaluation);
    this.identity =
        method.saysIdentity() && evaluation != null
            ? Collections.singletonList(method.identity(evaluation))
            : callers.identity(false);
  }

  @Nullable Object share() throws Exception {
    if (!method.isReactive()) {
      failOnMonos();
    }
    return switch (method.kind) {
      case VALUE -> value();
      case FUTURE -> future(identity, () -> (CompletionStage<?>) perform());
      case MONO -> ReactiveCalls.mono(this);
      case FLUX -> ReactiveCalls.flux(this);
    };
  }

  /** Waits for the flight, as leader or as follower. */
  private @Nullable Object value() throws Exception {
    SharedKey flightKey = keyFor(identity);
    Duration timeout = method.timeout;
    try {
      if (timeout == null) {
        return flights.call(flightKey, shared -> method.value(proceed()));
      }
      Supplier<@Nullable Object> work =
          carried(() -> method.value(perform()), new AtomicBoolean(true));
      return flights.call(flightKey, timeout, shared -> work.get());
    } catch (InterruptedException | TimeoutException failure) {
      if (ReflectionUtils.declaresException(invocation.getMethod(), failure.getClass())) {
        throw failure;
      }
      throw Failures.unchecked(failure);
    }
  }

  /** Takes a seat for a future of its own. */
  CompletableFuture<@Nullable Object> future(
      List<? extends @Nullable Object> identities,
      Supplier<? extends @Nullable CompletionStage<?>> stage) {
    AtomicBoolean entering = new AtomicBoolean(true);
    Supplier<? extends @Nullable CompletionStage<?>> work = carried(stage, entering);
    CompletableFuture<@Nullable Object> future =
        flights.callAsync(keyFor(identities), shared -> work.get());
    entering.set(false);
    Duration timeout = method.timeout;
    if (timeout != null) {
      failLate(future, timeout);
    }
    return future;
  }

  /* As orTimeout does, but with a message, and not on the one thread that all timeouts of the JVM
   * share: what waits for the future may take its time, and so may an executor of others. */
  private void failLate(CompletableFuture<@Nullable Object> future, Duration timeout) {
    CompletableFuture<@Nullable Object> alarm = new CompletableFuture<>();
    alarm.thenRunAsync(
        () ->
            future.completeExceptionally(
                new TimeoutException("%s did not end within %s".formatted(method, timeout))),
        SingleFlights.THREADS);
    alarm.completeOnTimeout(null, NANOSECONDS.convert(timeout), NANOSECONDS);
    future.whenComplete((value, failure) -> alarm.cancel(false));
  }

  /** Invokes the method, once. */
  private @Nullable Object proceed() {
    try {
      return invocation.proceed();
    } catch (Throwable failure) {
      throw Failures.sneaky(failure);
    }
  }

  /** Invokes the method, any number of times and on any thread. */
  @Nullable Object perform() {
    try {
      // Advice further inside may look for the invocation on this thread.
      return ExposeInvocationInterceptor.INSTANCE.invoke(
          ((ProxyMethodInvocation) invocation).invocableClone());
    } catch (Throwable failure) {
      throw Failures.sneaky(failure);
    }
  }

  /** The identity of a subscription: that of its method's call, and its own. */
  List<@Nullable Object> identityOfSubscription() {
    if (method.saysIdentity()) {
      return identity;
    }
    List<@Nullable Object> both = callers.identity(true);
    both.addAll(identity);
    return both;
  }

  /**
   * Returns a work that runs in the context of the caller, and on another thread than the calling
   * one with what its decorators carry: those may leave nothing on the thread that they ran on.
   */
  private <T extends @Nullable Object> Supplier<T> carried(
      Supplier<T> work, AtomicBoolean entering) {
    FutureTask<T> task = new FutureTask<>(work::get);
    // A subscription may come on another thread than the call.
    Runnable here = method.isReactive() ? context.apply(task) : task;
    Runnable elsewhere = callers.decorate(context.apply(task));
    Thread thread = Thread.currentThread();
    return () -> {
      (entering.get() && thread == Thread.currentThread() ? here : elsewhere).run();
      if (!task.isDone()) {
        throw new IllegalStateException("a TaskDecorator has not run the invocation of " + method);
      }
      try {
        return task.get();
      } catch (ExecutionException | InterruptedException failure) {
        throw Failures.sneaky(failure.getCause() == null ? failure : failure.getCause());
      }
    };
  }

  private SharedKey keyFor(List<? extends @Nullable Object> identities) {
    return new SharedKey(invocation.getThis(), method.method, key, identities);
  }

  private void failOnMonos() {
    for (Object part : identity) {
      if (REACTOR && ReactiveCalls.isMono(part)) {
        throw new IllegalStateException(
            "an identity of %s is a Mono, which only methods that return Mono or Flux can await; say"
                    .formatted(method)
                + " the identity of this method in its annotation");
      }
    }
  }
}
