package io.singleflight.reactor;

import static io.singleflight.contract.Contract.callers;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.micrometer.context.ContextRegistry;
import io.singleflight.FlightDeadlockException;
import io.singleflight.FlightStats;
import io.singleflight.Freshness;
import io.singleflight.InFlight;
import io.singleflight.SingleFlight;
import io.singleflight.TooManyFollowersException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import reactor.core.Disposable;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Hooks;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.util.context.Context;

class MonoFlightsTest {

  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private final FlightStats stats = new FlightStats();
  private final SingleFlight<String, Object> shared =
      SingleFlight.<String, Object>builder().listener(stats).build();
  private final MonoFlights<String, Object> flights = MonoFlights.over(shared);

  private final AtomicInteger subscriptions = new AtomicInteger();
  private final AtomicInteger cancellations = new AtomicInteger();
  private final Sinks.One<Object> gate = Sinks.one();
  private final Mono<Object> query =
      gate.asMono()
          .doOnSubscribe(subscription -> subscriptions.incrementAndGet())
          .doOnCancel(cancellations::incrementAndGet);

  private final Queue<Throwable> dropped = new ConcurrentLinkedQueue<>();

  @BeforeEach
  void watchWhatReactorDrops() {
    Hooks.onErrorDropped(dropped::add);
  }

  @AfterEach
  void nothingIsLeftBehindAndNothingWasDropped() {
    Hooks.resetOnErrorDropped();
    Hooks.resetOnOperatorError();
    awaitThat(() -> assertThat(shared.inFlight()).isEmpty());
    assertThat(dropped).isEmpty();
  }

  // Sharing

  @Test
  void call_tenThousandSubscribers_subscribesUpstreamOnce() throws Exception {
    int herd = 10_000;
    Mono<Object> shared = flights.call("a", key -> query);
    List<CompletableFuture<Object>> answers = new ArrayList<>();
    for (int i = 0; i < herd; i++) {
      answers.add(shared.toFuture());
    }
    assertThat(this.shared.inFlight())
        .singleElement()
        .extracting(InFlight::callers)
        .isEqualTo(herd);
    Object value = new Object();
    gate.tryEmitValue(value).orThrow();
    for (CompletableFuture<Object> answer : answers) {
      assertThat(answer.get(20, TimeUnit.SECONDS)).isSameAs(value);
    }
    assertThat(subscriptions).hasValue(1);
    assertThat(stats.snapshot().started()).isEqualTo(1);
    assertThat(stats.snapshot().joined()).isEqualTo(herd - 1);
  }

  @Test
  void call_tenThousandSubscribersFromManyThreads_subscribesUpstreamOnce() {
    int herd = 10_000;
    Mono<List<Object>> all =
        Flux.range(0, herd)
            .flatMap(i -> flights.call("a", key -> query).subscribeOn(Schedulers.parallel()), herd)
            .collectList();
    CompletableFuture<List<Object>> answers = all.toFuture();
    awaitCallers(herd);
    gate.tryEmitValue("one").orThrow();
    assertThat(answers)
        .succeedsWithin(PATIENCE)
        .satisfies(values -> assertThat(values).hasSize(herd).containsOnly("one"));
    assertThat(subscriptions).hasValue(1);
  }

  @Test
  void call_notSubscribed_doesNothing() {
    AtomicInteger calls = new AtomicInteger();
    Mono<Object> lazy =
        flights.call(
            "a",
            key -> {
              calls.incrementAndGet();
              return Mono.just(key);
            });
    assertThat(calls).hasValue(0);
    assertThat(shared.inFlight()).isEmpty();
    assertThat(lazy.block(PATIENCE)).isEqualTo("a");
    assertThat(lazy.block(PATIENCE)).isEqualTo("a");
    assertThat(calls).hasValue(2);
  }

  @Test
  void call_eachSubscription_takesOneSeat() {
    Mono<Object> mono = flights.call("a", key -> query);
    List<Disposable> subscribers = List.of(mono.subscribe(), mono.subscribe(), mono.subscribe());
    assertThat(shared.inFlight()).singleElement().extracting(InFlight::callers).isEqualTo(3);
    subscribers.get(0).dispose();
    subscribers.get(0).dispose();
    assertThat(shared.inFlight()).singleElement().extracting(InFlight::callers).isEqualTo(2);
    subscribers.get(1).dispose();
    subscribers.get(2).dispose();
    assertThat(cancellations).hasValue(1);
  }

  @Test
  void call_emptyMono_isAResultForAll() throws Exception {
    CompletableFuture<Boolean> leader = flights.call("a", key -> query).hasElement().toFuture();
    CompletableFuture<Boolean> follower =
        flights.call("a", key -> Mono.just("not asked")).hasElement().toFuture();
    CompletableFuture<Object> blocking = shared.submit("a", key -> "not asked");
    awaitCallers(3);
    gate.tryEmitEmpty().orThrow();
    assertThat(leader).succeedsWithin(PATIENCE).isEqualTo(false);
    assertThat(follower).succeedsWithin(PATIENCE).isEqualTo(false);
    assertThat(blocking.get(20, TimeUnit.SECONDS)).isNull();
  }

  @Test
  void call_blockingCallerOnTheSameFlight_sharesItsExecution() throws Exception {
    CompletableFuture<Object> leader = shared.submit("a", key -> gate.asMono().block(PATIENCE));
    CompletableFuture<Object> follower = flights.call("a", key -> query).toFuture();
    awaitCallers(2);
    gate.tryEmitValue("blocking").orThrow();
    assertThat(follower.get(20, TimeUnit.SECONDS)).isEqualTo("blocking");
    assertThat(leader.get(20, TimeUnit.SECONDS)).isEqualTo("blocking");
    assertThat(subscriptions).hasValue(0);
  }

  // Leaving

  @Test
  void subscriber_cancels_leavesAndTheLastOneCancelsUpstream() {
    AtomicInteger values = new AtomicInteger();
    Hooks.onOperatorError((failure, value) -> {
      dropped.add(failure);
      return failure;
    });
    Mono<Object> mono = flights.call("a", key -> query).doOnNext(value -> values.incrementAndGet());
    Disposable leader = mono.subscribe();
    Disposable follower = mono.subscribe();
    leader.dispose();
    assertThat(cancellations).hasValue(0);
    assertThat(shared.inFlight()).singleElement().extracting(InFlight::callers).isEqualTo(1);
    follower.dispose();
    assertThat(cancellations).hasValue(1);
    assertThat(shared.inFlight()).isEmpty();
    assertThat(flights.call("a", key -> Mono.just("fresh")).block(PATIENCE)).isEqualTo("fresh");
    gate.tryEmitValue("nobody hears this");
    assertThat(values).hasValue(0);
    assertThat(stats.snapshot().cancelled()).isEqualTo(2);
    assertThat(stats.snapshot().abandoned()).isEqualTo(1);
  }

  @Test
  void subscriber_timesOut_leavesAndTheOthersGetTheValue() throws Exception {
    CompletableFuture<Object> patient = flights.call("a", key -> query).toFuture();
    assertThatThrownBy(
            () -> flights.call("a", key -> query).timeout(Duration.ofMillis(5)).block(PATIENCE))
        .hasCauseInstanceOf(TimeoutException.class);
    gate.tryEmitValue("late").orThrow();
    assertThat(patient.get(20, TimeUnit.SECONDS)).isEqualTo("late");
    assertThat(cancellations).hasValue(0);
  }

  /** The leader's seat is not known before its work has been called, and so could not be left. */
  @Test
  void leader_cancelsWhileItsWorkIsCalled_subscribesToNothing() {
    BaseSubscriber<Object> leader = new BaseSubscriber<>() {};
    flights
        .call(
            "a",
            key -> {
              leader.cancel();
              return query;
            })
        .subscribe(leader);
    assertThat(subscriptions).hasValue(0);
    assertThat(shared.inFlight()).isEmpty();
    assertThat(flights.call("a", key -> Mono.just("anew")).block(PATIENCE)).isEqualTo("anew");
  }

  @Test
  void leader_cancelsWhileItsWorkIsCalledAndAnotherFollows_leavesTheFlightToIt() {
    BaseSubscriber<Object> leader = new BaseSubscriber<>() {};
    AtomicReference<CompletableFuture<Object>> follower = new AtomicReference<>();
    flights
        .call(
            "a",
            key -> {
              CompletableFuture.runAsync(
                      () -> follower.set(flights.call("a", own -> Mono.just("own")).toFuture()))
                  .join();
              leader.cancel();
              return query;
            })
        .subscribe(leader);
    assertThat(follower.get()).succeedsWithin(PATIENCE).isEqualTo("own");
    assertThat(subscriptions).hasValue(0);
    assertThat(stats.snapshot().handedOff()).isEqualTo(1);
  }

  /** The mechanism: {@code Mono.toFuture} forgets a cancellation that precedes onSubscribe. */
  @Test
  void subscriber_cancelsBeforeUpstreamHasSubscribed_cancelsUpstream() {
    AtomicReference<Subscriber<?>> slow = new AtomicReference<>();
    Disposable only = flights.call("a", key -> Mono.<Object>from(slow::set)).subscribe();
    only.dispose();
    assertThat(shared.inFlight()).isEmpty();
    AtomicInteger cancelled = new AtomicInteger();
    AtomicInteger requested = new AtomicInteger();
    slow.get()
        .onSubscribe(
            new Subscription() {
              @Override
              public void request(long n) {
                requested.incrementAndGet();
              }

              @Override
              public void cancel() {
                cancelled.incrementAndGet();
              }
            });
    assertThat(cancelled).hasPositiveValue();
    assertThat(requested).hasValue(0);
  }

  /** Taking the first value is no reason to cut upstream off from its clean-up. */
  @Test
  void call_valueArrives_upstreamEndsByItselfUncancelled() {
    AtomicInteger ended = new AtomicInteger();
    Object value =
        flights
            .call(
                "a",
                key ->
                    Mono.<Object, String>usingWhen(
                        Mono.just("connection"),
                        connection -> Mono.just("row"),
                        connection -> Mono.fromRunnable(ended::incrementAndGet),
                        (connection, failure) -> Mono.error(new AssertionError(failure)),
                        connection -> Mono.error(new AssertionError("cancelled"))))
            .block(PATIENCE);
    assertThat(value).isEqualTo("row");
    assertThat(ended).hasValue(1);
  }

  @Test
  void cancellation_coincidesWithTheValue_isLostByNobody() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      for (int round = 0; round < 2_000; round++) {
        Sinks.One<Object> one = Sinks.one();
        CompletableFuture<Object> stayer = flights.call("a", key -> one.asMono()).toFuture();
        Disposable leaver = flights.call("a", key -> Mono.never()).subscribe();
        CyclicBarrier start = new CyclicBarrier(2);
        var cancel =
            threads.submit(() -> {
              start.await();
              leaver.dispose();
              return null;
            });
        var land =
            threads.submit(() -> {
              start.await();
              one.tryEmitValue("landed").orThrow();
              return null;
            });
        cancel.get();
        land.get();
        assertThat(stayer.get(20, TimeUnit.SECONDS)).isEqualTo("landed");
      }
    } finally {
      threads.shutdownNow();
    }
  }

  // Failing

  @Test
  void upstream_fails_allGetTheSameInstanceAndTheNextSubscriptionTriesAgain() {
    for (Throwable failure :
        List.of(
            new IllegalStateException("unchecked"),
            new Exception("checked"),
            new AssertionError("error"),
            new CompletionException(new Exception("upstream's own wrapper")),
            new java.util.concurrent.CancellationException("upstream's own"))) {
      Sinks.One<Object> failing = Sinks.one();
      CompletableFuture<Throwable> leader = failureOf(flights.call("a", key -> failing.asMono()));
      CompletableFuture<Throwable> follower = failureOf(flights.call("a", key -> Mono.never()));
      failing.tryEmitError(failure).orThrow();
      assertThat(leader).succeedsWithin(PATIENCE).isSameAs(failure);
      assertThat(follower).succeedsWithin(PATIENCE).isSameAs(failure);
      assertThat(failure.getSuppressed()).isEmpty();
    }
    AtomicInteger attempts = new AtomicInteger();
    assertThat(
            flights
                .call(
                    "a",
                    key ->
                        attempts.incrementAndGet() < 3
                            ? Mono.error(new IllegalStateException("not yet"))
                            : Mono.just(attempts.get()))
                .retry(2)
                .block(PATIENCE))
        .isEqualTo(3);
  }

  @Test
  void work_throwsOrReturnsNull_failsTheSubscription() {
    IllegalStateException failure = new IllegalStateException("no Mono");
    assertThat(
            failureOf(
                flights.call(
                    "a",
                    key -> {
                      throw failure;
                    })))
        .succeedsWithin(PATIENCE)
        .isSameAs(failure);
    assertThat(failureOf(flights.call("a", key -> null)))
        .succeedsWithin(PATIENCE)
        .isInstanceOf(NullPointerException.class);
  }

  @Test
  void call_nullOrBrokenArguments_areRefused() {
    assertThatThrownBy(() -> MonoFlights.over(null))
        .isInstanceOf(NullPointerException.class)
        .hasMessage("flights");
    assertThatThrownBy(() -> flights.call(null, key -> query))
        .isInstanceOf(NullPointerException.class)
        .hasMessage("key");
    assertThatThrownBy(() -> flights.call("a", null))
        .isInstanceOf(NullPointerException.class)
        .hasMessage("work");
    record Broken() {
      @Override
      public int hashCode() {
        throw new UnsupportedOperationException("hashCode");
      }
    }
    MonoFlights<Object, Object> ofBroken = MonoFlights.over(SingleFlight.create());
    assertThat(failureOf(ofBroken.call(new Broken(), key -> query)))
        .succeedsWithin(PATIENCE)
        .isInstanceOf(UnsupportedOperationException.class);
  }

  @Test
  void call_ofItsOwnKeyInsideItsWork_failsAtOnce() {
    assertThat(
            failureOf(
                flights.call(
                    "a", key -> flights.call("b", inner -> flights.call("a", same -> query)))))
        .succeedsWithin(PATIENCE)
        .isInstanceOf(FlightDeadlockException.class);
    assertThat(subscriptions).hasValue(0);
  }

  @Test
  void call_flightIsFull_fails() {
    MonoFlights<String, Object> bounded =
        MonoFlights.over(SingleFlight.<String, Object>builder().maxFollowers(0).build());
    Disposable leader = bounded.call("a", key -> query).subscribe();
    assertThat(failureOf(bounded.call("a", key -> query)))
        .succeedsWithin(PATIENCE)
        .isInstanceOf(TooManyFollowersException.class);
    leader.dispose();
  }

  @Test
  void upstream_failsForAReasonOfTheLeadersOwn_aFollowerSubscribesToItsOwnInItsOwnContext() {
    Sinks.One<Object> leaders = Sinks.one();
    CompletableFuture<Throwable> leader =
        failureOf(flights.call("a", key -> leaders.asMono()).contextWrite(user("ada")));
    CompletableFuture<Object> heir =
        flights
            .call("a", key -> Mono.deferContextual(context -> Mono.just(context.get("user"))))
            .contextWrite(user("charles"))
            .toFuture();
    InterruptedException own = new InterruptedException();
    leaders.tryEmitError(own).orThrow();
    assertThat(leader).succeedsWithin(PATIENCE).isSameAs(own);
    assertThat(heir).succeedsWithin(PATIENCE).isEqualTo("charles");
  }

  @Test
  void next_subscriberDuringAnExecution_waitsForTheOneAfterIt() {
    SingleFlight<String, Object> next =
        SingleFlight.<String, Object>builder().freshness(Freshness.NEXT).build();
    MonoFlights<String, Object> fresh = MonoFlights.over(next);
    CompletableFuture<Object> stale = fresh.call("a", key -> query).toFuture();
    CompletableFuture<Object> first = fresh.call("a", key -> Mono.just("fresh")).toFuture();
    CompletableFuture<Object> second = fresh.call("a", key -> Mono.just("not asked")).toFuture();
    gate.tryEmitValue("stale").orThrow();
    assertThat(stale).succeedsWithin(PATIENCE).isEqualTo("stale");
    assertThat(first).succeedsWithin(PATIENCE).isEqualTo("fresh");
    assertThat(second).succeedsWithin(PATIENCE).isEqualTo("fresh");
  }

  // Context

  @Test
  void upstream_runsInTheLeadersContext_andEachSubscriberContinuesInItsOwn() {
    Queue<String> upstream = new ConcurrentLinkedQueue<>();
    Mono<Object> mono =
        flights
            .call(
                "a",
                key ->
                    query.transformDeferredContextual((self, context) -> {
                      upstream.add(context.get("user"));
                      return self;
                    }))
            .flatMap(value ->
                Mono.deferContextual(context -> Mono.just(context.get("user") + " got " + value)));
    CompletableFuture<Object> leader = mono.contextWrite(user("ada")).toFuture();
    CompletableFuture<Object> follower = mono.contextWrite(user("charles")).toFuture();
    gate.tryEmitValue("it").orThrow();
    assertThat(leader).succeedsWithin(PATIENCE).isEqualTo("ada got it");
    assertThat(follower).succeedsWithin(PATIENCE).isEqualTo("charles got it");
    assertThat(upstream).containsExactly("ada");
  }

  /** With Reactor's automatic propagation, thread locals follow the context. */
  @Test
  void threadLocals_propagatedAutomatically_areTheLeadersUpstreamAndEachOnesOwnAfterwards()
      throws Exception {
    ThreadLocal<String> user = new ThreadLocal<>();
    ContextRegistry.getInstance().registerThreadLocalAccessor("user", user);
    Hooks.enableAutomaticContextPropagation();
    try {
      Queue<String> upstream = new ConcurrentLinkedQueue<>();
      Mono<Object> mono =
          flights
              .call(
                  "a",
                  key -> {
                    upstream.add("called by " + user.get());
                    return query
                        .publishOn(Schedulers.parallel())
                        .doOnNext(value -> upstream.add("queried by " + user.get()));
                  })
              .map(value -> user.get() + " got " + value);
      CompletableFuture<Object> leader = mono.contextWrite(user("ada")).toFuture();
      CompletableFuture<Object> follower = mono.contextWrite(user("charles")).toFuture();
      gate.tryEmitValue("it").orThrow();
      assertThat(leader.get(20, TimeUnit.SECONDS)).isEqualTo("ada got it");
      assertThat(follower.get(20, TimeUnit.SECONDS)).isEqualTo("charles got it");
      assertThat(upstream).containsExactly("called by ada", "queried by ada");
      assertThat(user.get()).isNull();
    } finally {
      Hooks.disableAutomaticContextPropagation();
      ContextRegistry.getInstance().removeThreadLocalAccessor("user");
    }
  }

  @Test
  void follower_thatBlocksWhenSignalled_delaysNobodyElse() throws Exception {
    CountDownLatch blocked = new CountDownLatch(1);
    CompletableFuture<Object> leader = flights.call("a", key -> query).toFuture();
    for (int i = 0; i < 3; i++) {
      flights
          .call("a", key -> query)
          .subscribe(value -> {
            try {
              blocked.await();
            } catch (InterruptedException ended) {
              Thread.currentThread().interrupt();
            }
          });
    }
    CompletableFuture<Object> last = flights.call("a", key -> query).toFuture();
    gate.tryEmitValue("shared").orThrow();
    assertThat(leader.get(20, TimeUnit.SECONDS)).isEqualTo("shared");
    assertThat(last.get(20, TimeUnit.SECONDS)).isEqualTo("shared");
    blocked.countDown();
  }

  private static Context user(String name) {
    return Context.of("user", name);
  }

  private static CompletableFuture<Throwable> failureOf(Mono<Object> mono) {
    CompletableFuture<Throwable> failure = new CompletableFuture<>();
    mono.subscribe(
        value -> failure.completeExceptionally(new AssertionError("got " + value)),
        failure::complete,
        () -> failure.completeExceptionally(new AssertionError("completed")));
    return failure;
  }

  private void awaitCallers(int expected) {
    awaitThat(() -> assertThat(callers(shared)).isEqualTo(expected));
  }

  private static void awaitThat(org.awaitility.core.ThrowingRunnable assertion) {
    Awaitility.await()
        .atMost(PATIENCE)
        .pollDelay(Duration.ZERO)
        .pollInterval(Duration.ofMillis(1))
        .untilAsserted(assertion);
  }
}
