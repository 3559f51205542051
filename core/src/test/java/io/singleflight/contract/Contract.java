package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.Freshness;
import io.singleflight.InFlight;
import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.awaitility.Awaitility;
import org.awaitility.core.ThrowingRunnable;
import org.junit.jupiter.api.AfterEach;

/**
 * What the promises are tested with. An implementation inherits the subclasses, one for each group
 * of promises, and supplies a factory.
 */
public abstract class Contract implements SingleFlightFactory {

  static final Duration PATIENCE = Duration.ofSeconds(20);
  static final Object KEY = "k";

  private final List<SingleFlight<?, ?>> instances = new ArrayList<>();
  private final List<GatedWork> works = new ArrayList<>();
  private final List<Caller> callers = new ArrayList<>();
  private final List<ExecutorService> executors = new ArrayList<>();

  /** P4, P9: whatever a test did, every caller ends, and nothing stays in the table. */
  @AfterEach
  void everyCallEndsAndNothingIsLeftBehind() throws Exception {
    works.forEach(work -> work.returns("released after the test"));
    for (Caller caller : callers) {
      caller.end();
    }
    for (SingleFlight<?, ?> instance : instances) {
      awaitThat(() -> assertThat(instance.inFlight()).isEmpty());
      if (instance instanceof AutoCloseable closeable) {
        closeable.close();
      }
    }
    executors.forEach(ExecutorService::shutdownNow);
  }

  <K, V> SingleFlight<K, V> instance(Consumer<SingleFlight.Builder<K, V>> options) {
    SingleFlight<K, V> instance = create(options);
    instances.add(instance);
    return instance;
  }

  SingleFlight<Object, Object> instance() {
    return instance(options -> {});
  }

  ExecutorService threads() {
    ExecutorService executor =
        Executors.newCachedThreadPool(task -> {
          Thread thread = new Thread(task);
          thread.setDaemon(true);
          return thread;
        });
    executors.add(executor);
    return executor;
  }

  ExecutorService singleThread() {
    ExecutorService executor = Executors.newSingleThreadExecutor();
    executors.add(executor);
    return executor;
  }

  GatedWork gated() {
    return remember(GatedWork.gated());
  }

  GatedWork stubborn() {
    return remember(GatedWork.stubborn());
  }

  GatedWork remember(GatedWork work) {
    works.add(work);
    return work;
  }

  Caller start(Kind kind, Threads on, SingleFlight<Object, Object> flights, GatedWork work) {
    return start(kind, on, flights, KEY, work);
  }

  Caller start(
      Kind kind, Threads on, SingleFlight<Object, Object> flights, Object key, GatedWork work) {
    Caller caller = Caller.start(kind, on, flights, key, work);
    callers.add(caller);
    return caller;
  }

  /** Starts a task on a thread of some kind. */
  static <T> Future<T> on(Threads threads, Callable<T> task) {
    FutureTask<T> future = new FutureTask<>(task);
    threads.start(future);
    return future;
  }

  static <T> T got(Future<T> future) throws Exception {
    return future.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
  }

  /** What a call performs, whatever its kind. */
  interface Body {
    Object perform() throws Exception;
  }

  /** Calls on this thread, and waits for what comes of it. */
  static Object call(SingleFlight<Object, Object> flights, Kind kind, Object key, Body body)
      throws Exception {
    try {
      return switch (kind) {
        case CALL -> flights.call(key, k -> body.perform());
        case TIMED_CALL -> flights.call(key, Duration.ofHours(1), k -> body.perform());
        case CALL_ALL ->
            flights.callAll(List.of(key), keys -> Map.of(key, body.perform())).get(key);
        case SUBMIT -> got(flights.submit(key, k -> body.perform()));
        case CALL_ASYNC ->
            got(
                flights.callAsync(
                    key,
                    k -> {
                      try {
                        return CompletableFuture.completedFuture(body.perform());
                      } catch (Exception failure) {
                        throw GatedWork.<RuntimeException>sneaky(failure);
                      }
                    }));
      };
    } catch (ExecutionException failure) {
      throw GatedWork.<RuntimeException>sneaky(failure.getCause());
    }
  }

  /** A leader whose work has begun, with followers aboard. */
  final class Scene {
    final SingleFlight<Object, Object> flights;
    final GatedWork leadersWork;
    final Caller leader;
    final List<GatedWork> followersWorks = new ArrayList<>();
    final List<Caller> followers = new ArrayList<>();

    Scene(Case like, int followers, GatedWork leadersWork) throws Exception {
      this(like, followers, leadersWork, options -> {});
    }

    /* In NEXT nobody joins a flight that has begun: all come aboard while it waits for its turn. */
    Scene(
        Case like,
        int followers,
        GatedWork leadersWork,
        Consumer<SingleFlight.Builder<Object, Object>> options)
        throws Exception {
      this.flights = instance(builder -> options.accept(builder.freshness(like.freshness())));
      this.leadersWork = leadersWork;
      Caller ahead = null;
      GatedWork aheadsWork = gated();
      int before = 0;
      if (like.freshness() == Freshness.NEXT) {
        ahead = start(Kind.CALL, Threads.PLATFORM, flights, aheadsWork);
        aheadsWork.awaitBegun();
        before = 1;
      }
      leader = start(like.leader(), like.threads(), flights, leadersWork);
      if (ahead == null) {
        leadersWork.awaitBegun();
      }
      awaitCallers(flights, before + 1);
      leader.awaitParked();
      for (int i = 0; i < followers; i++) {
        GatedWork work = gated();
        followersWorks.add(work);
        Caller follower = start(like.follower(), like.threads(), flights, work);
        this.followers.add(follower);
        awaitCallers(flights, before + 2 + i);
        follower.awaitParked();
      }
      if (ahead != null) {
        aheadsWork.returns("ahead");
        assertThat(ahead.value()).isEqualTo("ahead");
      }
      leadersWork.awaitBegun();
      awaitCallers(flights, 1 + followers);
    }

    int followersExecutions() {
      return followersWorks.stream().mapToInt(GatedWork::executions).sum();
    }

    void followersWouldReturn(Object value) {
      followersWorks.forEach(work -> work.returns(value));
    }
  }

  /** Returns how many callers are aboard all flights together. */
  public static int callers(SingleFlight<?, ?> flights) {
    return flights.inFlight().stream().mapToInt(InFlight::callers).sum();
  }

  static void awaitCallers(SingleFlight<?, ?> flights, int expected) {
    awaitThat(() -> assertThat(callers(flights)).isEqualTo(expected));
  }

  static void await(CountDownLatch latch, String what) throws InterruptedException {
    assertThat(latch.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).as(what).isTrue();
  }

  static void await(Callable<Boolean> condition) {
    patiently().until(condition);
  }

  static void awaitThat(ThrowingRunnable assertion) {
    patiently().untilAsserted(assertion);
  }

  private static org.awaitility.core.ConditionFactory patiently() {
    return Awaitility.await()
        .atMost(PATIENCE)
        .pollDelay(Duration.ZERO)
        .pollInterval(Duration.ofMillis(1))
        .pollInSameThread();
  }
}
