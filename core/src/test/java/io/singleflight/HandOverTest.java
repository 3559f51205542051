package io.singleflight;

import static io.singleflight.contract.Contract.callers;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * User code that runs between the end of one flight and the next: a cancelled stage's cleanup, a
 * future's callback, a predicate, an executor that runs its tasks inline. It may ask for the same
 * key, and whoever waits for that flight must not wait for this code.
 */
@Timeout(60)
class HandOverTest {

  private static final Duration LONG = Duration.ofMinutes(5);

  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final CountDownLatch gate = new CountDownLatch(1);

  @AfterEach
  void stopThreads() {
    gate.countDown();
    threads.shutdownNow();
  }

  static Executor inline() {
    return Runnable::run;
  }

  static Executor refusing() {
    return task -> {
      throw new RejectedExecutionException("full");
    };
  }

  static List<Executor> executors() {
    return List.of(inline(), refusing());
  }

  private static SingleFlight.Builder<String, String> next() {
    return SingleFlight.<String, String>builder().freshness(Freshness.NEXT);
  }

  /** Starts a call on a thread of its own, and returns when that waits. */
  private static FutureTask<String> waiting(Callable<String> call) {
    FutureTask<String> task = new FutureTask<>(call);
    Thread thread = new Thread(task);
    thread.start();
    await().until(() -> thread.getState() == Thread.State.WAITING);
    return task;
  }

  private String untilGate(String value) throws InterruptedException {
    gate.await();
    return value;
  }

  @Test
  void cancellation_asksForTheKeyItself_holdsUpNobody() throws Exception {
    SingleFlight<String, String> flights = next().build();
    CompletableFuture<String> stage = new CompletableFuture<>();
    CompletableFuture<String> cleanup =
        stage.handle((value, failure) -> flights.submit("a", key -> "by the cleanup").join());
    CompletableFuture<String> only = flights.callAsync("a", key -> stage);
    FutureTask<String> behind = waiting(() -> flights.call("a", key -> "by the next"));
    Future<Boolean> cancelled = threads.submit(() -> only.cancel(true));
    assertThat(behind.get()).isEqualTo("by the next");
    assertThat(cleanup.get()).isIn("by the cleanup", "by the next");
    assertThat(cancelled.get()).isTrue();
  }

  @Test
  void cancellation_takesItsTime_holdsUpNobody() throws Exception {
    SingleFlight<String, String> flights = next().build();
    CompletableFuture<String> stage = new CompletableFuture<>();
    CompletableFuture<String> only = flights.callAsync("a", key -> stage);
    CompletableFuture<String> cleanup =
        stage.handle((value, failure) -> {
          try {
            return untilGate("cleaned up");
          } catch (InterruptedException failed) {
            throw new IllegalStateException(failed);
          }
        });
    FutureTask<String> behind = waiting(() -> flights.call("a", key -> "by the next"));
    Future<Boolean> cancelled = threads.submit(() -> only.cancel(true));
    assertThat(behind.get()).isEqualTo("by the next");
    gate.countDown();
    assertThat(cleanup.get()).isEqualTo("cleaned up");
    assertThat(cancelled.get()).isTrue();
  }

  @ParameterizedTest
  @MethodSource("executors")
  void callback_onTheLandingThread_mayWaitForTheNextFlight(Executor executor) throws Exception {
    SingleFlight<String, String> flights = next().executor(executor).build();
    CountDownLatch ahead = new CountDownLatch(1);
    CountDownLatch begun = new CountDownLatch(1);
    FutureTask<String> first =
        waiting(() ->
            flights.call(
                "a",
                key -> {
                  ahead.await();
                  return "first";
                }));
    FutureTask<String> second =
        waiting(() ->
            flights.call(
                "a",
                key -> {
                  begun.countDown();
                  return untilGate("second");
                }));
    CompletableFuture<String> told =
        flights
            .submit("a", key -> "never")
            .thenApply(value -> value + ", then " + call(flights, "a", "its callback"));
    ahead.countDown();
    begun.await();
    FutureTask<String> third = waiting(() -> flights.call("a", key -> "third"));
    gate.countDown();
    assertThat(told.get()).isIn("second, then third", "second, then its callback");
    assertThat(first.get() + second.get() + third.get()).startsWith("firstsecond");
  }

  private static <K> String call(SingleFlight<K, String> flights, K key, String value) {
    try {
      return flights.call(key, asked -> value);
    } catch (InterruptedException unexpected) {
      throw new AssertionError(unexpected);
    }
  }

  /** The flight is vacant until its batch is through with another key; those behind can perform. */
  @Test
  void handOff_onlyABusyBatchAboard_letsTheFlightBehindGoFirst() throws Exception {
    BusyBatch scene = new BusyBatch();
    FutureTask<String> behind = waiting(() -> scene.flights.call("a", key -> "by the next"));
    scene.handOff();
    assertThat(behind.get()).isEqualTo("by the next");
    assertThat(scene.batch).isNotDone();
    scene.assertEnds("by the batch");
  }

  /** Nobody could perform when the flight was handed off; then the one behind has somebody. */
  @Test
  void handOff_callerBehindIsStillTold_goesFirstOnceItWaits() throws Exception {
    AtomicReference<Runnable> whenStarted = new AtomicReference<>(() -> {});
    BusyBatch scene =
        new BusyBatch(
            options ->
                options.listener(
                    new FlightListener<>() {
                      @Override
                      public void started(Object key) {
                        whenStarted.getAndSet(() -> {}).run();
                      }
                    }),
            all -> {});
    whenStarted.set(scene::handOff);
    Future<String> behind = threads.submit(() -> scene.flights.call("a", key -> "by the next"));
    assertThat(behind.get(20, TimeUnit.SECONDS)).isEqualTo("by the next");
    assertThat(scene.batch).isNotDone();
    scene.assertEnds("by the batch");
  }

  @Test
  void leave_ofTheAppointedAmongTheBusy_letsTheFlightBehindGoFirst() throws Exception {
    Queue<Runnable> held = new ConcurrentLinkedQueue<>();
    AtomicReference<CompletableFuture<String>> appointed = new AtomicReference<>();
    BusyBatch scene =
        new BusyBatch(
            options -> options.executor(held::add),
            all -> appointed.set(all.submit("a", key -> "never")));
    FutureTask<String> behind = waiting(() -> scene.flights.call("a", key -> "by the next"));
    scene.handOff();
    await().until(() -> !held.isEmpty());
    assertThat(appointed.get().cancel(true)).isTrue();
    assertThat(behind.get(20, TimeUnit.SECONDS)).isEqualTo("by the next");
    scene.assertEnds("by the batch");
  }

  /** It came for the flight that ran, and finds it behind the one that it would have waited in. */
  @Test
  void call_whoseFlightIsOvertakenMeanwhile_waitsInTheOneThatIsNext() throws Exception {
    BusyBatch scene = new BusyBatch();
    CountDownLatch overtaken = new CountDownLatch(1);
    CountDownLatch mayEnd = new CountDownLatch(1);
    FutureTask<String> behind =
        waiting(() -> scene.flights.call("a", key -> held(overtaken, mayEnd, "by the next")));
    Object sameKey = scene.overtakenWhenCompared(overtaken);
    FutureTask<String> call = waiting(() -> scene.flights.call(sameKey, key -> "by the late one"));
    assertThat(overtaken.getCount()).isZero();
    assertThat(scene.flights.inFlight())
        .filteredOn(each -> each.key().equals("a"))
        .extracting(InFlight::state)
        .containsExactly(InFlight.State.RUNNING, InFlight.State.WAITING);
    mayEnd.countDown();
    assertThat(behind.get()).isEqualTo("by the next");
    assertThat(call.get(20, TimeUnit.SECONDS)).isEqualTo("by the late one");
    scene.assertEnds("by the late one");
  }

  /** The flight that is forgotten is found at the head of the line, and is no more there. */
  @Test
  void forget_whileItsFlightIsOvertaken_leavesNobodyWaiting() throws Exception {
    BusyBatch scene = new BusyBatch();
    CountDownLatch overtaken = new CountDownLatch(1);
    CountDownLatch mayEnd = new CountDownLatch(1);
    FutureTask<String> behind =
        waiting(() -> scene.flights.call("a", key -> held(overtaken, mayEnd, "by the next")));
    Object sameKey = scene.overtakenWhenCompared(overtaken);
    assertThat(scene.flights.forget(sameKey)).isTrue();
    assertThat(((LocalSingleFlight<Object, String>) scene.flights).table.lines())
        .extracting(flight -> flight.key)
        .containsExactly("slow");
    mayEnd.countDown();
    assertThat(behind.get()).isEqualTo("by the next");
    scene.assertEnds("by the batch");
  }

  private static String held(CountDownLatch begun, CountDownLatch mayEnd, String value)
      throws InterruptedException {
    begun.countDown();
    mayEnd.await();
    return value;
  }

  private static void awaitLatch(CountDownLatch latch) {
    await().until(() -> latch.getCount() == 0);
  }

  /** A flight that runs, with a batch aboard that is busy with another key until the gate opens. */
  private final class BusyBatch {

    final SingleFlight<Object, String> flights;
    final Future<Map<Object, String>> batch;
    private final FutureTask<String> first;
    private final FutureTask<String> leader;
    private final AtomicReference<Thread> leaders = new AtomicReference<>();

    BusyBatch() throws Exception {
      this(options -> {}, all -> {});
    }

    BusyBatch(
        Consumer<SingleFlight.Builder<Object, String>> options,
        Consumer<SingleFlight<Object, String>> alsoAboard)
        throws Exception {
      SingleFlight.Builder<Object, String> builder =
          SingleFlight.<Object, String>builder().freshness(Freshness.NEXT);
      options.accept(builder);
      flights = builder.build();
      CountDownLatch ahead = new CountDownLatch(1);
      CountDownLatch begun = new CountDownLatch(1);
      first =
          waiting(() ->
              flights.call(
                  "a",
                  key -> {
                    ahead.await();
                    return "first";
                  }));
      leader =
          waiting(() ->
              flights.call(
                  "a",
                  key -> {
                    leaders.set(Thread.currentThread());
                    begun.countDown();
                    new CountDownLatch(1).await();
                    return "never";
                  }));
      batch =
          threads.submit(() ->
              flights.callAll(
                  List.of("slow", "a"),
                  keys -> {
                    gate.await();
                    Map<Object, String> values = new HashMap<>();
                    keys.forEach(key -> values.put(key, "by the batch"));
                    return values;
                  }));
      await().until(() -> callers(flights) == 4);
      alsoAboard.accept(flights);
      ahead.countDown();
      begun.await();
    }

    void handOff() {
      leaders.get().interrupt();
      await().until(leader::isDone);
    }

    /** A key equal to "a"; who first compares it finds that the flight is overtaken meanwhile. */
    Object overtakenWhenCompared(CountDownLatch overtaken) {
      return new WatchedKey(
          "a",
          () -> {
            if (overtaken.getCount() > 0) {
              handOff();
              awaitLatch(overtaken);
            }
          });
    }

    void assertEnds(String valueOfA) throws Exception {
      gate.countDown();
      assertThat(batch.get(20, TimeUnit.SECONDS))
          .isEqualTo(Map.of("slow", "by the batch", "a", valueOfA));
      assertThat(first.get()).isEqualTo("first");
      assertThatThrownBy(leader::get).hasCauseInstanceOf(InterruptedException.class);
      assertThat(flights.inFlight()).isEmpty();
    }
  }

  /** Each hand-off inside the one before would take the stack to its end, and the key with it. */
  @Test
  void handOff_manyTimesOverAnInlineExecutor_landsForAll() throws Exception {
    SingleFlight<String, String> flights =
        SingleFlight.<String, String>builder()
            .executor(inline())
            .handOffOn(IllegalArgumentException.class::isInstance)
            .build();
    FutureTask<String> first =
        waiting(() ->
            flights.call(
                "a",
                key -> {
                  gate.await();
                  throw new IllegalArgumentException("the leader's own");
                }));
    AtomicInteger executions = new AtomicInteger();
    List<CompletableFuture<String>> heirs =
        java.util.stream.Stream.generate(() ->
                flights.submit(
                    "a",
                    key -> {
                      executions.incrementAndGet();
                      throw new IllegalArgumentException("the heir's own");
                    }))
            .limit(3_000)
            .toList();
    gate.countDown();
    assertThatThrownBy(first::get).hasCauseInstanceOf(IllegalArgumentException.class);
    for (CompletableFuture<String> heir : heirs) {
      assertThatThrownBy(heir::get)
          .isInstanceOf(ExecutionException.class)
          .hasCauseInstanceOf(IllegalArgumentException.class);
    }
    assertThat(executions).hasValue(3_000);
    assertThat(flights.inFlight()).isEmpty();
  }

  @Test
  void leave_beforeItsTaskBegan_doesNotPerformTheNextLeadersWork() throws Exception {
    // Kept: a task that nobody holds counts as dropped.
    AtomicReference<Runnable> held = new AtomicReference<>();
    SingleFlight<String, String> flights =
        SingleFlight.<String, String>builder()
            .executor(task -> {
              if (!held.compareAndSet(null, task)) {
                task.run();
              }
            })
            .build();
    AtomicReference<Thread> hasty = new AtomicReference<>();
    FutureTask<String> leaver = new FutureTask<>(() -> flights.call("a", LONG, key -> "never"));
    hasty.set(new Thread(leaver));
    hasty.get().start();
    await().until(() -> !flights.inFlight().isEmpty());
    FutureTask<String> patient =
        new FutureTask<>(() -> flights.call("a", LONG, key -> untilGate("by the patient")));
    threads.execute(patient);
    await().until(() -> flights.inFlight().get(0).callers() == 2);
    hasty.get().interrupt();
    assertThatThrownBy(leaver::get)
        .hasCauseInstanceOf(InterruptedException.class)
        .hasMessageContaining("waiting for the flight of key a of singleflight");
    gate.countDown();
    assertThat(patient.get()).isEqualTo("by the patient");
    held.get().run();
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void handOffOn_predicateAsksForTheKeyItself_failsAtOnceAndMeansNo(boolean ofAStage)
      throws Exception {
    AtomicReference<SingleFlight<String, String>> itself = new AtomicReference<>();
    AtomicReference<Throwable> refused = new AtomicReference<>();
    SingleFlight<String, String> flights =
        SingleFlight.<String, String>builder()
            .handOffOn(failure -> {
              try {
                call(itself.get(), "a", "by the predicate");
              } catch (FlightDeadlockException deadlock) {
                refused.set(deadlock);
                throw deadlock;
              }
              return true;
            })
            .build();
    itself.set(flights);
    CompletableFuture<String> failing = new CompletableFuture<>();
    FutureTask<String> leader =
        waiting(() ->
            ofAStage
                ? flights.callAsync("a", key -> failing).get()
                : flights.call("a", key -> failing.get()));
    FutureTask<String> follower = waiting(() -> flights.call("a", key -> "by the follower"));
    failing.completeExceptionally(new IllegalStateException("the key's"));
    assertThatThrownBy(leader::get).hasRootCauseMessage("the key's");
    assertThatThrownBy(follower::get).hasRootCauseMessage("the key's");
    assertThat(refused.get()).isInstanceOf(FlightDeadlockException.class);
  }

  /** Whoever joins the first flight of a batch waits for it, though it only registers as yet. */
  @Test
  void equals_ofABatchsLaterKey_waitsInACircleForItsFirst_throws() throws Exception {
    SingleFlight<Object, String> flights = SingleFlight.create();
    CountDownLatch registered = new CountDownLatch(1);
    FutureTask<String> ofLater =
        waiting(() ->
            flights.call(
                "later",
                key -> {
                  gate.await();
                  return "later";
                }));
    FutureTask<String> other =
        new FutureTask<>(() ->
            flights.call(
                "x",
                key -> {
                  registered.await();
                  return flights.call("first", again -> "by the other");
                }));
    Thread otherThread = new Thread(other);
    otherThread.start();
    await().until(() -> flights.inFlight().size() == 2);
    Object later =
        new WatchedKey(
            "later",
            () -> {
              if (flights.inFlight().size() == 3 && registered.getCount() > 0) {
                registered.countDown();
                await().until(() -> callers(flights) == 4);
                await().until(() -> otherThread.getState() == Thread.State.WAITING);
                call(flights, "x", "never");
              }
            });
    FutureTask<Map<Object, String>> batch =
        new FutureTask<>(() -> flights.callAll(List.of("first", later), keys -> Map.of()));
    threads.execute(batch);
    assertThatThrownBy(() -> batch.get(20, TimeUnit.SECONDS))
        .hasCauseInstanceOf(FlightDeadlockException.class);
    assertThat(other.get()).isEqualTo("by the other");
    gate.countDown();
    assertThat(ofLater.get()).isEqualTo("later");
  }

  /** The batch's second flight has not landed when the first one's follower is told. */
  @Test
  void callback_ofABatchsFirstKey_waitsInACircleForItsSecond_throws() throws Exception {
    SingleFlight<String, String> flights =
        SingleFlight.<String, String>builder().executor(inline()).build();
    CountDownLatch calledBack = new CountDownLatch(1);
    FutureTask<String> other =
        waiting(() ->
            flights.call(
                "x",
                key -> {
                  calledBack.await();
                  return flights.call("b", inner -> "b by the other");
                }));
    FutureTask<String> batch =
        waiting(() ->
            flights
                .callAll(
                    List.of("a", "b"),
                    keys -> {
                      gate.await();
                      return Map.of("a", "1", "b", "2");
                    })
                .toString());
    CompletableFuture<String> told =
        flights
            .submit("a", key -> "never")
            .thenApply(value -> {
              calledBack.countDown();
              await()
                  .until(() ->
                      flights.inFlight().stream()
                          .anyMatch(each -> each.key().equals("b") && each.callers() == 2));
              return call(flights, "x", "x by the callback");
            });
    gate.countDown();
    assertThatThrownBy(told::get).hasCauseInstanceOf(FlightDeadlockException.class);
    assertThat(batch.get()).isEqualTo("{a=1, b=2}");
    assertThat(other.get()).isEqualTo("2");
  }

  /** The work has ended, but who waits for its flight still waits for this thread. */
  @Test
  void handOffOn_waitsForWhoWaitsForItsFlight_isADeadlock() throws Exception {
    AtomicReference<SingleFlight<String, String>> flights = new AtomicReference<>();
    Thread[] failing = new Thread[1];
    CountDownLatch otherPerforms = new CountDownLatch(1);
    flights.set(
        SingleFlight.<String, String>builder()
            .handOffOn(failure ->
                failure.getMessage().equals("of a") && !call(flights.get(), "b", "").isEmpty())
            .build());
    FutureTask<String> other =
        new FutureTask<>(() ->
            flights
                .get()
                .call(
                    "b",
                    key -> {
                      otherPerforms.countDown();
                      await().until(() -> failing[0].getState() == Thread.State.WAITING);
                      return flights.get().call("a", again -> "never");
                    }));
    FutureTask<String> failed =
        new FutureTask<>(() ->
            flights
                .get()
                .call(
                    "a",
                    key -> {
                      awaitLatch(otherPerforms);
                      throw new IllegalArgumentException("of a");
                    }));
    failing[0] = new Thread(failed);
    failing[0].setDaemon(true);
    threads.execute(other);
    failing[0].start();
    assertThatThrownBy(() -> other.get(20, TimeUnit.SECONDS))
        .hasCauseInstanceOf(FlightDeadlockException.class);
    assertThatThrownBy(failed::get).hasRootCauseMessage("of a");
  }

  @Test
  void callAll_handedAFlightWhoseKeyBreaks_landsIt() throws Exception {
    SingleFlight<Breaking, String> flights = SingleFlight.create();
    AtomicBoolean broken = new AtomicBoolean();
    Breaking key = new Breaking(broken);
    CountDownLatch begun = new CountDownLatch(1);
    Thread leader =
        new Thread(() -> {
          try {
            flights.call(
                key,
                asked -> {
                  begun.countDown();
                  new CountDownLatch(1).await();
                  return "never";
                });
          } catch (InterruptedException expected) {
            Thread.currentThread().interrupt();
          }
        });
    leader.start();
    begun.await();
    FutureTask<String> batch =
        waiting(() -> flights.callAll(List.of(key), keys -> Map.of(key, "1")).toString());
    broken.set(true);
    leader.interrupt();
    assertThatThrownBy(batch::get).hasRootCauseMessage("hashCode is broken");
    assertThat(flights.inFlight()).isEmpty();
  }

  private record Breaking(AtomicBoolean broken) {
    @Override
    public int hashCode() {
      if (broken.get()) {
        throw new IllegalStateException("hashCode is broken");
      }
      return 1;
    }
  }
}
