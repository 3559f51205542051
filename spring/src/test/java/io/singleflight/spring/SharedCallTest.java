package io.singleflight.spring;

import static io.singleflight.spring.Calls.get;
import static io.singleflight.spring.Held.awaitCallers;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.singleflight.FlightDeadlockException;
import io.singleflight.TooManyFollowersException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.Future;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import org.aopalliance.intercept.MethodInterceptor;
import org.aspectj.lang.JoinPoint;
import org.aspectj.lang.annotation.Aspect;
import org.aspectj.lang.annotation.Before;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.aop.framework.ProxyFactory;
import org.springframework.aop.support.AopUtils;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.aop.AopAutoConfiguration;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Lazy;
import org.springframework.context.i18n.LocaleContextHolder;
import org.springframework.core.task.TaskDecorator;

/** What an annotated method does, for return types other than Mono and Flux. */
class SharedCallTest {

  @RegisterExtension final Calls calls = new Calls();

  private final ApplicationContextRunner runner =
      new ApplicationContextRunner()
          .withConfiguration(
              AutoConfigurations.of(
                  AopAutoConfiguration.class, SingleFlightAutoConfiguration.class))
          .withUserConfiguration(Beans.class);

  record Customer(Long id, String name) {}

  /** Implemented by a class; may be proxied by its interfaces alone. */
  interface Directory {
    @SharedCall
    Customer byId(Long id) throws InterruptedException;

    Customer unshared(Long id) throws InterruptedException;
  }

  static class HeldDirectory implements Directory {
    final Held held;

    HeldDirectory(Held held) {
      this.held = held;
    }

    @Override
    public Customer byId(Long id) throws InterruptedException {
      return held.perform(new Customer(id, "ada"));
    }

    @Override
    public Customer unshared(Long id) throws InterruptedException {
      return held.perform(new Customer(id, "ada"));
    }
  }

  @Target(ElementType.METHOD)
  @Retention(RetentionPolicy.RUNTIME)
  @SharedCall(name = "composed", key = "#a0")
  @interface SharedById {}

  static class Service {
    @Autowired Held held;
    @Lazy @Autowired Service self;
    final IOException failure = new FileNotFoundException("no such customer");
    final ThreadLocal<String> tenant = new ThreadLocal<>();
    final CompletableFuture<String> pending = new CompletableFuture<>();

    @SharedCall
    public Customer byIdAndName(Long id, String name) throws InterruptedException {
      return held.perform(new Customer(id, name));
    }

    @SharedCall
    public Customer byId(Long id) throws InterruptedException {
      return held.perform(new Customer(id, "by id"));
    }

    @SharedCall
    public Customer byId(String id) throws InterruptedException {
      return held.perform(new Customer(1L, id));
    }

    @SharedCall
    public int ofArray(int[] ids, String[] names) throws InterruptedException {
      return held.perform(ids.length + names.length);
    }

    @SharedCall(name = "bounded", key = "#id")
    public Customer byKey(Long id, Object ignored) throws InterruptedException {
      return held.perform(new Customer(id, "ada"));
    }

    @SharedCall(key = "@keys.of(#customer?.name)")
    public Customer byBean(Customer customer) throws InterruptedException {
      return held.perform(customer);
    }

    @SharedCall(condition = "#id > 0")
    public Customer onCondition(long id) throws InterruptedException {
      return held.perform(new Customer(id, "ada"));
    }

    @SharedById
    public Customer composed(Long id, Object ignored) throws InterruptedException {
      return held.perform(new Customer(id, "ada"));
    }

    @SharedCall
    void nothing(Long id) throws InterruptedException {
      held.perform(null);
    }

    @SharedCall
    public String failing() throws IOException, InterruptedException {
      held.perform(null);
      throw failure;
    }

    @SharedCall
    public String missing() throws InterruptedException {
      return held.perform(null);
    }

    @SharedCall
    public String undeclared() {
      try {
        return held.perform("done");
      } catch (InterruptedException e) {
        throw new CompletionException(e);
      }
    }

    @SharedCall(timeout = "${hasty:100ms}")
    public String hasty() {
      try {
        return held.perform("late");
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }

    @SharedCall(timeout = "100ms")
    public String hastyDeclared() throws InterruptedException, TimeoutException {
      return held.perform("late");
    }

    @SharedCall(timeout = "1m")
    public String context() throws InterruptedException {
      held.seen.add(LocaleContextHolder.getLocale() + " " + tenant.get());
      return held.perform(Thread.currentThread().getName());
    }

    @SharedCall
    public String recursive() {
      return self.recursive();
    }

    @SharedCall
    public CompletableFuture<String> future() {
      held.begun.incrementAndGet();
      return pending;
    }

    @SharedCall(timeout = "100ms")
    public CompletionStage<String> hastyFuture() {
      held.begun.incrementAndGet();
      return pending;
    }

    @SharedCall
    public Object undeclaredFuture() {
      return pending;
    }

    @SharedCall
    public CompletableFuture<String> failingFuture() throws IOException {
      throw failure;
    }
  }

  interface Finder<T> {
    @SharedCall
    T find();
  }

  abstract static class BaseFinder<T> implements Finder<T> {
    final Held held = new Held();
    final CompletableFuture<String> pending = new CompletableFuture<>();

    abstract T answer();

    @Override
    public T find() {
      held.begun.incrementAndGet();
      return answer();
    }
  }

  static class FutureFinder extends BaseFinder<CompletableFuture<String>> {
    @Override
    CompletableFuture<String> answer() {
      return pending;
    }
  }

  static class Keys {
    public String of(String name) {
      return name == null ? null : name.toLowerCase(Locale.ROOT);
    }
  }

  @Configuration(proxyBeanMethods = false)
  static class Beans {
    @Bean
    Held held() {
      return new Held();
    }

    @Bean
    Keys keys() {
      return new Keys();
    }

    @Bean
    Service service() {
      return new Service();
    }

    @Bean
    HeldDirectory directory(Held held) {
      return new HeldDirectory(held);
    }
  }

  @FunctionalInterface
  interface Scenario {
    void play(Service service, Held held, SingleFlights instances) throws Exception;
  }

  private void play(Scenario scenario) {
    play(runner, scenario);
  }

  private static void play(ApplicationContextRunner runner, Scenario scenario) {
    runner.run(context ->
        scenario.play(
            context.getBean(Service.class),
            context.getBean(Held.class),
            context.getBean(SingleFlights.class)));
  }

  @Test
  void call_equalArguments_areOneInvocation() {
    play((service, held, instances) -> {
      List<Future<Customer>> found = new ArrayList<>();
      for (int i = 0; i < 50; i++) {
        found.add(calls.start(() -> service.byIdAndName(1_000L, "ada")));
      }
      awaitCallers(instances, "default", 50);
      held.open();
      for (Future<Customer> one : found) {
        assertThat(get(one)).isSameAs(get(found.get(0)));
      }
      assertThat(held.begun).hasValue(1);
    });
  }

  @Test
  void call_equalArraysAsArguments_areOneInvocation() {
    play((service, held, instances) -> {
      var one = calls.start(() -> service.ofArray(new int[] {1, 2}, new String[] {"a"}));
      var two = calls.start(() -> service.ofArray(new int[] {1, 2}, new String[] {"a"}));
      awaitCallers(instances, "default", 2);
      var other = calls.start(() -> service.ofArray(new int[] {1, 3}, new String[] {"a"}));
      held.awaitBegun(2);
      held.open();
      assertThat(List.of(get(one), get(two), get(other))).containsExactly(3, 3, 3);
      assertThat(held.begun).hasValue(2);
    });
  }

  @Test
  void call_otherArguments_otherMethodOrOverload_areInvocationsOfTheirOwn() {
    play((service, held, instances) -> {
      var one = calls.start(() -> service.byId(1L));
      var otherArgument = calls.start(() -> service.byId(2L));
      var overload = calls.start(() -> service.byId("1"));
      var withNull = calls.start(() -> service.byIdAndName(1L, null));
      var otherMethod = calls.start(() -> service.byIdAndName(1L, "by id"));
      held.awaitBegun(5);
      held.open();
      assertThat(get(one)).isEqualTo(new Customer(1L, "by id"));
      assertThat(get(otherArgument)).isEqualTo(new Customer(2L, "by id"));
      assertThat(get(overload)).isEqualTo(new Customer(1L, "1"));
      assertThat(get(withNull)).isEqualTo(new Customer(1L, null));
      assertThat(get(otherMethod)).isEqualTo(new Customer(1L, "by id"));
    });
  }

  @Test
  void call_equalBeansOfOneClass_doNotShare() {
    ApplicationContextRunner two =
        runner.withBean("other", HeldDirectory.class, () -> new HeldDirectory(new Held()));
    two.run(context -> {
      HeldDirectory one = (HeldDirectory) context.getBean("directory");
      HeldDirectory other = (HeldDirectory) context.getBean("other");
      var first = calls.start(() -> one.byId(1L));
      held(one).awaitBegun(1);
      var second = calls.start(() -> other.byId(1L));
      held(other).awaitBegun(1);
      held(one).open();
      held(other).open();
      assertThat(get(first)).isEqualTo(get(second)).isNotSameAs(get(second));
    });
  }

  private static Held held(HeldDirectory directory) throws Exception {
    Object target =
        ((org.springframework.aop.framework.Advised) directory).getTargetSource().getTarget();
    return ((HeldDirectory) target).held;
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void call_annotationOnInterface_isSharedThroughEitherKindOfProxy(boolean classes) {
    runner
        .withPropertyValues("spring.aop.proxy-target-class=" + classes)
        .run(context -> {
          Directory directory = context.getBean(Directory.class);
          Held held = context.getBean(Held.class);
          assertThat(AopUtils.isJdkDynamicProxy(directory)).isEqualTo(!classes);
          var one = calls.start(() -> directory.byId(1L));
          var two = calls.start(() -> directory.byId(1L));
          awaitCallers(context.getBean(SingleFlights.class), "default", 2);
          var unshared = calls.start(() -> directory.unshared(1L));
          var unsharedToo = calls.start(() -> directory.unshared(1L));
          held.awaitBegun(3);
          held.open();
          assertThat(get(one)).isSameAs(get(two));
          assertThat(get(unshared)).isNotSameAs(get(unsharedToo));
        });
  }

  @Test
  void key_expression_leavesOutWhatItDoesNotName() {
    play((service, held, instances) -> {
      var one = calls.start(() -> service.byKey(1L, new Object()));
      var two = calls.start(() -> service.byKey(1L, new Object()));
      awaitCallers(instances, "bounded", 2);
      held.open();
      assertThat(get(one)).isSameAs(get(two));
      assertThat(held.begun).hasValue(1);
    });
  }

  @Test
  void key_ofABean_isAsked() {
    play((service, held, instances) -> {
      var one = calls.start(() -> service.byBean(new Customer(1L, "ADA")));
      var two = calls.start(() -> service.byBean(new Customer(2L, "ada")));
      awaitCallers(instances, "default", 2);
      held.open();
      assertThat(get(one)).isSameAs(get(two));
    });
  }

  @Test
  void key_thatIsNull_isRefusedAndSharesNothing() {
    play((service, held, instances) -> {
      assertThatThrownBy(() -> service.byBean(new Customer(1L, null)))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("@keys.of(#customer?.name)")
          .hasMessageContaining("Service.byBean");
      assertThat(held.begun).hasValue(0);
    });
  }

  @Test
  void condition_thatIsFalse_isNotShared() {
    play((service, held, instances) -> {
      var one = calls.start(() -> service.onCondition(0));
      var two = calls.start(() -> service.onCondition(0));
      held.awaitBegun(2);
      assertThat(Held.callers(instances, "default")).isZero();
      var three = calls.start(() -> service.onCondition(1));
      var four = calls.start(() -> service.onCondition(1));
      awaitCallers(instances, "default", 2);
      held.open();
      assertThat(get(one)).isNotSameAs(get(two));
      assertThat(get(three)).isSameAs(get(four));
    });
  }

  @Test
  void annotation_onAnAnnotation_counts() {
    play((service, held, instances) -> {
      var one = calls.start(() -> service.composed(1L, "this"));
      var two = calls.start(() -> service.composed(1L, "that"));
      awaitCallers(instances, "composed", 2);
      held.open();
      assertThat(get(one)).isSameAs(get(two));
    });
  }

  @Test
  void name_ofAnInstanceWithProperties_hasItsOptions() {
    play(
        runner.withPropertyValues("singleflight.instances.bounded.max-followers=1"),
        (service, held, instances) -> {
          var one = calls.start(() -> service.byKey(1L, ""));
          var two = calls.start(() -> service.byKey(1L, ""));
          awaitCallers(instances, "bounded", 2);
          assertThatThrownBy(() -> service.byKey(1L, ""))
              .isInstanceOf(TooManyFollowersException.class);
          held.open();
          assertThat(get(one)).isSameAs(get(two));
        });
  }

  @Test
  void void_isShared() {
    play((service, held, instances) -> {
      var one = calls.start(() -> nothing(service));
      var two = calls.start(() -> nothing(service));
      awaitCallers(instances, "default", 2);
      held.open();
      get(one);
      get(two);
      assertThat(held.begun).hasValue(1);
    });
  }

  private static Void nothing(Service service) throws InterruptedException {
    service.nothing(1L);
    return null;
  }

  @Test
  void failure_checked_reachesAllAsItself() {
    play((service, held, instances) -> {
      var one = calls.start(service::failing);
      var two = calls.start(service::failing);
      awaitCallers(instances, "default", 2);
      held.open();
      for (Future<String> call : List.of(one, two)) {
        assertThatThrownBy(() -> get(call))
            .isInstanceOf(ExecutionException.class)
            .cause()
            .isInstanceOf(FileNotFoundException.class)
            .isSameAs(targetOf(service).failure);
      }
      assertThat(held.begun).hasValue(1);
    });
  }

  private static Service targetOf(Service proxy) throws Exception {
    return (Service)
        ((org.springframework.aop.framework.Advised) proxy).getTargetSource().getTarget();
  }

  @Test
  void null_isAResult() {
    play((service, held, instances) -> {
      var one = calls.start(service::missing);
      var two = calls.start(service::missing);
      awaitCallers(instances, "default", 2);
      held.open();
      assertThat(get(one)).isNull();
      assertThat(get(two)).isNull();
      assertThat(held.begun).hasValue(1);
    });
  }

  @Test
  void interrupt_ofAFollower_leavesTheOthers() {
    play((service, held, instances) -> {
      AtomicReference<Thread> waiting = new AtomicReference<>();
      var leader = calls.start(service::undeclared);
      held.awaitBegun(1);
      var follower =
          calls.start(() -> {
            waiting.set(Thread.currentThread());
            Throwable thrown = null;
            try {
              service.undeclared();
            } catch (CompletionException e) {
              thrown = e.getCause();
            }
            return thrown + " " + Thread.currentThread().isInterrupted();
          });
      awaitCallers(instances, "default", 2);
      waiting.get().interrupt();
      assertThat(get(follower)).startsWith("java.lang.InterruptedException").endsWith("true");
      held.open();
      assertThat(get(leader)).isEqualTo("done");
    });
  }

  @Test
  void timeout_ofAllCallers_interruptsTheInvocation() {
    play((service, held, instances) -> {
      assertThatThrownBy(service::hasty)
          .isInstanceOf(CompletionException.class)
          .hasCauseInstanceOf(TimeoutException.class)
          .hasMessageContaining("Service.hasty");
      await().until(() -> held.interrupted.get() == 1);
      assertThatThrownBy(service::hastyDeclared).isInstanceOf(TimeoutException.class);
      await().until(() -> held.interrupted.get() == 2);
      assertThat(Held.callers(instances, "default")).isZero();
    });
  }

  @Test
  void timeout_fromAPlaceholder_isTheEnvironments() {
    play(
        runner.withPropertyValues("hasty=1m"),
        (service, held, instances) -> {
          held.open();
          assertThat(service.hasty()).isEqualTo("late");
        });
  }

  @Test
  void timeout_workOnTheExecutor_hasTheContextOfItsCaller() {
    play(
        runner.withBean(
            TaskDecorator.class,
            () ->
                task -> {
                  String name = Thread.currentThread().getName();
                  return () -> {
                    Thread.currentThread().setName("working for " + name);
                    task.run();
                  };
                }),
        (service, held, instances) -> {
          held.open();
          LocaleContextHolder.setLocale(Locale.CANADA_FRENCH);
          try {
            assertThat(service.context())
                .isEqualTo("working for " + Thread.currentThread().getName());
          } finally {
            LocaleContextHolder.resetLocaleContext();
          }
          assertThat(held.seen).containsExactly("fr_CA null");
        });
  }

  @Test
  void timeout_taskDecoratorThatDropsTheTask_failsTheCall() {
    play(
        runner.withBean(TaskDecorator.class, () -> task -> () -> {}),
        (service, held, instances) ->
            assertThatThrownBy(service::context)
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("TaskDecorator")
                .hasMessageContaining("Service.context"));
  }

  @Aspect
  static class LateAspect {
    static final List<String> SEEN = new java.util.concurrent.CopyOnWriteArrayList<>();

    @Before("execution(* *..SharedCallTest.Service.context(..)) && this(service)")
    public void before(JoinPoint point, Service service) {
      SEEN.add(point.getSignature().getName());
    }
  }

  @Test
  void timeout_aspectFurtherInside_findsItsInvocation() {
    LateAspect.SEEN.clear();
    play(
        runner.withBean(LateAspect.class, LateAspect::new),
        (service, held, instances) -> {
          held.open();
          service.context();
          assertThat(LateAspect.SEEN).containsExactly("context");
        });
  }

  @Test
  void call_ofItself_throwsAtOnce() {
    play((service, held, instances) ->
        assertThatThrownBy(service::recursive)
            .isInstanceOf(FlightDeadlockException.class)
            .hasMessageContaining("Service.recursive"));
  }

  @Test
  void future_cancelled_leavesAloneAndTheLastOneCancels() {
    play((service, held, instances) -> {
      CompletableFuture<String> pending = targetOf(service).pending;
      CompletableFuture<String> leader = service.future();
      CompletableFuture<String> follower = service.future();
      assertThat(leader).isNotSameAs(follower).isNotSameAs(pending);
      leader.cancel(true);
      assertThat(Held.callers(instances, "default")).isEqualTo(1);
      assertThat(pending).isNotDone();
      assertThat(follower).isNotDone();
      follower.cancel(true);
      assertThat(pending).isCancelled();
      assertThat(held.begun).hasValue(1);
      assertThat(instances.get("default").inFlight()).isEmpty();
    });
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void future_ofATypeParameter_isOneForEachCaller(boolean classes) {
    FutureFinder target = new FutureFinder();
    runner
        .withPropertyValues("spring.aop.proxy-target-class=" + classes)
        .withBean("finder", Finder.class, () -> target)
        .run(context -> {
          @SuppressWarnings("unchecked")
          Finder<CompletableFuture<String>> finder = context.getBean("finder", Finder.class);
          CompletableFuture<String> one = finder.find();
          CompletableFuture<String> two = finder.find();
          assertThat(one).isNotSameAs(two);
          one.cancel(true);
          target.pending.complete("found");
          assertThat(get(two)).isEqualTo("found");
          assertThat(target.held.begun).hasValue(1);
        });
  }

  @Test
  void future_thatTheMethodDoesNotDeclare_isRefused() {
    play((service, held, instances) ->
        assertThatThrownBy(service::undeclaredFuture)
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("Service.undeclaredFuture")
            .hasMessageContaining("java.util.concurrent.CompletableFuture")
            .hasMessageContaining("declare it to return"));
  }

  @Test
  void future_ofAnInvocationOnTheCallersThread_leavesItsThreadLocals() {
    ThreadLocal<String> trace = new ThreadLocal<>();
    trace.set("of the caller");
    play(
        runner.withBean(
            TaskDecorator.class,
            () ->
                task ->
                    () -> {
                      task.run();
                      trace.remove();
                    }),
        (service, held, instances) -> {
          service.future();
          assertThat(held.begun).hasValue(1);
          assertThat(trace.get()).isEqualTo("of the caller");
        });
  }

  @Test
  void future_completed_reachesAll() {
    play((service, held, instances) -> {
      CompletableFuture<String> leader = service.future();
      CompletableFuture<String> follower = service.future();
      targetOf(service).pending.complete("done");
      assertThat(get(leader)).isEqualTo("done");
      assertThat(get(follower)).isEqualTo("done");
      assertThat(held.begun).hasValue(1);
    });
  }

  @Test
  void future_late_failsAndLeaves() {
    play((service, held, instances) -> {
      CompletionStage<String> late = service.hastyFuture();
      assertThatThrownBy(() -> get(late.toCompletableFuture()))
          .isInstanceOf(ExecutionException.class)
          .cause()
          .isInstanceOf(TimeoutException.class)
          .hasMessage("Service.hastyFuture did not end within PT0.1S");
      assertThat(instances.get("default").inFlight()).isEmpty();
      assertThat(targetOf(service).pending).isCancelled();
    });
  }

  @Test
  void future_late_holdsUpNoOtherTimeout() {
    play((service, held, instances) -> assertNoTimeoutIsHeldUp(service));
  }

  private static void assertNoTimeoutIsHeldUp(Service service) throws Exception {
    CompletableFuture<String> one = service.hastyFuture().toCompletableFuture();
    CompletableFuture<String> two = service.hastyFuture().toCompletableFuture();
    CompletableFuture<Object> afterBoth =
        one.handle((value, failure) -> two.handle((other, otherFailure) -> "late").join());
    assertThat(get(afterBoth)).isEqualTo("late");
  }

  /** The JVM has one thread for all timeouts: it must not run what an executor is given. */
  @Test
  void future_late_withAnExecutorThatRunsTasksAtOnce_holdsUpNoOtherTimeout() {
    play(
        runner
            .withBean("inline", Executor.class, () -> Runnable::run)
            .withPropertyValues("singleflight.instances.default.executor=inline"),
        (service, held, instances) -> assertNoTimeoutIsHeldUp(service));
  }

  @Test
  void future_methodThatThrows_failsTheFuture() {
    play((service, held, instances) ->
        assertThatThrownBy(() -> get(service.failingFuture()))
            .isInstanceOf(ExecutionException.class)
            .hasCauseInstanceOf(FileNotFoundException.class));
  }

  @Test
  void bean_thatIsFrozen_isProxiedOnceMore() {
    Held held = new Held();
    held.open();
    ProxyFactory frozen = new ProxyFactory(new HeldDirectory(held));
    frozen.addAdvice((MethodInterceptor) invocation -> invocation.proceed());
    frozen.setFrozen(true);
    Directory proxy = (Directory) frozen.getProxy();
    runner
        .withBean("frozen", Directory.class, () -> proxy)
        .run(context -> {
          Directory directory = context.getBean("frozen", Directory.class);
          assertThat(directory).isNotSameAs(proxy);
          assertThat(directory.byId(1L)).isEqualTo(new Customer(1L, "ada"));
        });
  }

  @Test
  void duration_ofNoTimeAtAll_isRefused() {
    runner
        .withPropertyValues("hasty=" + Duration.ZERO)
        .run(context -> assertThat(context).getFailure().hasMessageContaining("hasty"));
  }
}
