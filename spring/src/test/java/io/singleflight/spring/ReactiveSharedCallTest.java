package io.singleflight.spring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.aop.AopAutoConfiguration;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.core.task.TaskDecorator;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.util.context.Context;

/** What an annotated method does that returns a Mono or a Flux. */
class ReactiveSharedCallTest {

  private static final Duration LONG = Duration.ofMinutes(1);

  private final ApplicationContextRunner runner =
      new ApplicationContextRunner()
          .withConfiguration(
              AutoConfigurations.of(
                  AopAutoConfiguration.class, SingleFlightAutoConfiguration.class))
          .withBean(Log.class, Log::new)
          .withBean(Service.class);

  static class Log {
    final AtomicInteger invoked = new AtomicInteger();
    final AtomicInteger subscribed = new AtomicInteger();
    final AtomicInteger cancelled = new AtomicInteger();
    final Queue<String> contexts = new ConcurrentLinkedQueue<>();
    final Sinks.One<String> one = Sinks.one();
    final Sinks.Many<Integer> many = Sinks.many().replay().all();
    final Queue<Subscriber<? super String>> waiting = new ConcurrentLinkedQueue<>();
    final IOException failure = new FileNotFoundException("no such customer");
  }

  static class Service {
    private final Log log;

    Service(Log log) {
      this.log = log;
    }

    @SharedCall
    public Mono<String> one(Long id) {
      log.invoked.incrementAndGet();
      return Mono.deferContextual(
              context -> {
                log.subscribed.incrementAndGet();
                log.contexts.add(context.getOrDefault("trace", "none"));
                return log.one.asMono();
              })
          .doOnCancel(log.cancelled::incrementAndGet);
    }

    @SharedCall
    public Flux<Integer> many() {
      log.invoked.incrementAndGet();
      return log.many.asFlux().doOnCancel(log.cancelled::incrementAndGet);
    }

    @SharedCall(timeout = "100ms")
    public Mono<String> late() {
      return log.one.asMono().doOnCancel(log.cancelled::incrementAndGet);
    }

    @SharedCall
    public Mono<String> throwing() throws IOException {
      log.invoked.incrementAndGet();
      throw log.failure;
    }

    @SharedCall
    public Mono<String> slowToStart() {
      return Mono.fromDirect(subscriber -> log.waiting.add(subscriber));
    }

    @SharedCall
    public Mono<String> none() {
      return null;
    }
  }

  @FunctionalInterface
  interface Scenario {
    void play(Service service, Log log, SingleFlights instances) throws Exception;
  }

  private void play(Scenario scenario) {
    runner.run(context ->
        scenario.play(
            context.getBean(Service.class),
            context.getBean(Log.class),
            context.getBean(SingleFlights.class)));
  }

  @Test
  void mono_notSubscribed_invokesNothing() {
    play((service, log, instances) -> {
      service.one(1L);
      assertThat(log.invoked).hasValue(0);
      assertThat(instances.get("default").inFlight()).isEmpty();
    });
  }

  @Test
  void mono_manySubscriptions_areOneInvocationAndOneSeatEach() {
    play((service, log, instances) -> {
      Mono<String> assembled = service.one(1L);
      List<CompletableFuture<String>> all = new ArrayList<>();
      for (int i = 0; i < 100; i++) {
        all.add((i % 2 == 0 ? assembled : service.one(1L)).toFuture());
      }
      assertThat(Held.callers(instances, "default")).isEqualTo(100);
      log.one.tryEmitValue("ada");
      for (CompletableFuture<String> one : all) {
        assertThat(Calls.get(one)).isEqualTo("ada");
      }
      assertThat(log.invoked).hasValue(1);
      assertThat(log.subscribed).hasValue(1);
      assertThat(assembled.block(LONG)).isEqualTo("ada");
      assertThat(log.invoked).hasValue(2);
    });
  }

  @Test
  void mono_empty_isAResult() {
    play((service, log, instances) -> {
      CompletableFuture<String> leader = service.one(1L).toFuture();
      CompletableFuture<Boolean> follower = service.one(1L).hasElement().toFuture();
      log.one.tryEmitEmpty();
      assertThat(Calls.get(leader)).isNull();
      assertThat(Calls.get(follower)).isFalse();
      assertThat(log.subscribed).hasValue(1);
    });
  }

  @Test
  void mono_failure_reachesAllAsItself() {
    play((service, log, instances) -> {
      CompletableFuture<Throwable> leader = failureOf(service.one(1L)).toFuture();
      CompletableFuture<Throwable> follower = failureOf(service.one(1L)).toFuture();
      log.one.tryEmitError(log.failure);
      assertThat(Calls.get(leader)).isSameAs(log.failure);
      assertThat(Calls.get(follower)).isSameAs(log.failure);
    });
  }

  private static Mono<Throwable> failureOf(Mono<?> mono) {
    return mono.cast(Throwable.class).onErrorResume(Mono::just);
  }

  @Test
  void mono_methodThatThrowsOrHasNone_failsTheSubscription() {
    play((service, log, instances) -> {
      Mono<String> throwing = service.throwing();
      assertThat(log.invoked).hasValue(0);
      assertThat(failureOf(throwing).block(LONG)).isSameAs(log.failure);
      assertThatThrownBy(() -> service.none().block(LONG)).isInstanceOf(NullPointerException.class);
    });
  }

  @Test
  void mono_cancelled_leavesAloneAndTheLastOneCancelsUpstream() {
    play((service, log, instances) -> {
      Disposable leader = service.one(1L).subscribe();
      Disposable follower = service.one(1L).subscribe();
      assertThat(Held.callers(instances, "default")).isEqualTo(2);
      leader.dispose();
      assertThat(Held.callers(instances, "default")).isEqualTo(1);
      assertThat(log.cancelled).hasValue(0);
      follower.dispose();
      assertThat(log.cancelled).hasValue(1);
      assertThat(instances.get("default").inFlight()).isEmpty();
    });
  }

  @Test
  void mono_cancelledByAllBeforeUpstreamStarts_cancelsUpstreamWhenItDoes() {
    play((service, log, instances) -> {
      service.slowToStart().subscribe().dispose();
      assertThat(instances.get("default").inFlight()).isEmpty();
      log.waiting
          .remove()
          .onSubscribe(
              new Subscription() {
                @Override
                public void request(long n) {}

                @Override
                public void cancel() {
                  log.cancelled.incrementAndGet();
                }
              });
      assertThat(log.cancelled).hasValue(1);
    });
  }

  @Test
  void mono_failureThatIsACompletionException_reachesAllAsItself() {
    play((service, log, instances) -> {
      CompletionException failure = new CompletionException(log.failure);
      CompletableFuture<Throwable> leader = failureOf(service.one(1L)).toFuture();
      CompletableFuture<Throwable> follower = failureOf(service.one(1L)).toFuture();
      log.one.tryEmitError(failure);
      assertThat(Calls.get(leader)).isSameAs(failure);
      assertThat(Calls.get(follower)).isSameAs(failure);
    });
  }

  @Test
  void mono_contextOfTheLeader_goesUpstream() {
    play((service, log, instances) -> {
      var leader = service.one(1L).contextWrite(Context.of("trace", "of the leader")).toFuture();
      var follower =
          service
              .one(1L)
              .flatMap(name -> Mono.deferContextual(own -> Mono.just(name + own.get("trace"))))
              .contextWrite(Context.of("trace", " of the follower"))
              .toFuture();
      log.one.tryEmitValue("value");
      assertThat(Calls.get(leader)).isEqualTo("value");
      assertThat(Calls.get(follower)).isEqualTo("value of the follower");
      assertThat(log.contexts).containsExactly("of the leader");
    });
  }

  @Test
  void mono_ofAnInvocationOnTheCallersThread_leavesItsThreadLocals() {
    ThreadLocal<String> trace = new ThreadLocal<>();
    trace.set("of the caller");
    runner
        .withBean(
            TaskDecorator.class,
            () ->
                task ->
                    () -> {
                      task.run();
                      trace.remove();
                    })
        .run(context -> {
          context.getBean(Service.class).one(1L).subscribe();
          assertThat(context.getBean(Log.class).invoked).hasValue(1);
          assertThat(trace.get()).isEqualTo("of the caller");
        });
  }

  @Test
  void mono_late_failsAndLeaves() {
    play((service, log, instances) -> {
      Throwable failure = failureOf(service.late()).block(LONG);
      assertThat(failure)
          .isInstanceOf(TimeoutException.class)
          .hasMessage("Service.late did not end within PT0.1S");
      await().until(() -> log.cancelled.get() == 1);
      assertThat(instances.get("default").inFlight()).isEmpty();
    });
  }

  @Test
  void flux_isCollectedOnceAndReplayedToAll() {
    play((service, log, instances) -> {
      var leader = service.many().collectList().toFuture();
      var follower = service.many().take(2).collectList().toFuture();
      assertThat(Held.callers(instances, "default")).isEqualTo(2);
      log.many.tryEmitNext(1);
      log.many.tryEmitNext(2);
      assertThat(follower).isNotDone();
      log.many.tryEmitNext(3);
      log.many.tryEmitComplete();
      assertThat(Calls.get(leader)).containsExactly(1, 2, 3);
      assertThat(Calls.get(follower)).containsExactly(1, 2);
      assertThat(log.invoked).hasValue(1);
    });
  }

  @Test
  void flux_cancelledByAll_cancelsUpstream() {
    play((service, log, instances) -> {
      Disposable one = service.many().subscribe();
      Disposable two = service.many().subscribe();
      one.dispose();
      assertThat(log.cancelled).hasValue(0);
      two.dispose();
      assertThat(log.cancelled).hasValue(1);
    });
  }
}
