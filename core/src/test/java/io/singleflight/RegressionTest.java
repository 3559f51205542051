package io.singleflight;

import static io.singleflight.contract.Contract.callers;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.lang.ref.WeakReference;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.awaitility.core.ThrowingRunnable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Defects that were found by review, each with the interleaving that showed it. */
@Timeout(60)
class RegressionTest {

  private static final Object PARKED = new Object();

  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final CountDownLatch gate = new CountDownLatch(1);
  private final AtomicInteger executions = new AtomicInteger();

  @AfterEach
  void stopThreads() {
    gate.countDown();
    threads.shutdownNow();
  }

  private void awaitGate() {
    try {
      gate.await();
    } catch (InterruptedException ended) {
      Thread.currentThread().interrupt();
    }
  }

  private Integer untilGate(String key) throws InterruptedException {
    gate.await();
    return executions.incrementAndGet();
  }

  @Test
  void land_executorRunsTheNextWorkInline_wakesItsOwnFollowersFirst() throws Exception {
    CountDownLatch running = new CountDownLatch(1);
    CountDownLatch landing = new CountDownLatch(1);
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder()
            .freshness(Freshness.NEXT)
            .executor(Runnable::run)
            .build();
    // The second flight waits behind this one, so that both of its callers are aboard when it
    // begins.
    Future<Integer> first =
        threads.submit(() ->
            flights.call(
                "a",
                key -> {
                  running.countDown();
                  landing.await();
                  return 0;
                }));
    running.await();
    CountDownLatch secondBegun = new CountDownLatch(1);
    CountDownLatch secondMayEnd = new CountDownLatch(1);
    List<Future<Integer>> waiting =
        List.of(
            threads.submit(() -> flights.call("a", key -> lead(secondBegun, secondMayEnd))),
            threads.submit(() -> flights.call("a", key -> lead(secondBegun, secondMayEnd))));
    await().until(() -> callers(flights) == 3);
    landing.countDown();
    first.get();
    secondBegun.await();
    CompletableFuture.runAsync(() -> flights.submit("a", this::untilGate), threads).get();
    secondMayEnd.countDown();
    // The third work, whose turn it is, waits at the gate; a caller of the second has its value.
    await().until(() -> waiting.stream().anyMatch(Future::isDone));
    assertThat(executions).hasValue(0);
  }

  private static Integer lead(CountDownLatch begun, CountDownLatch mayEnd)
      throws InterruptedException {
    begun.countDown();
    mayEnd.await();
    return 1;
  }

  @Test
  void join_listenerIsSlow_delaysNeitherWakingNorHandOff() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    AtomicReference<Thread> leader = new AtomicReference<>();
    AtomicInteger told = new AtomicInteger();
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder()
            .listener(
                new FlightListener<String>() {
                  @Override
                  public void joined(String key, int callers) {
                    if (told.getAndIncrement() < Flight.SMALL) {
                      try {
                        gate.await();
                      } catch (InterruptedException expected) {
                        Thread.currentThread().interrupt();
                      }
                    }
                  }
                })
            .build();
    threads.submit(() ->
        flights.call(
            "a",
            key -> {
              leader.set(Thread.currentThread());
              begun.countDown();
              new CountDownLatch(1).await();
              return 0;
            }));
    begun.await();
    for (int i = 0; i < Flight.SMALL; i++) {
      threads.submit(() -> flights.call("a", key -> executions.incrementAndGet()));
    }
    await().until(() -> told.get() == Flight.SMALL);
    List<Future<Integer>> others =
        List.of(
            threads.submit(() -> flights.call("a", key -> 7)),
            threads.submit(() -> flights.call("a", key -> 7)));
    await().until(() -> told.get() == Flight.SMALL + 2);
    leader.get().interrupt();
    for (Future<Integer> other : others) {
      assertThat(other.get(20, TimeUnit.SECONDS)).isEqualTo(7);
    }
  }

  @Test
  void submit_handedOffWhileItsListenerIsTold_isPerformedOnce() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch joining = new CountDownLatch(1);
    CountDownLatch told = new CountDownLatch(1);
    AtomicReference<Thread> leader = new AtomicReference<>();
    AtomicInteger tasks = new AtomicInteger();
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder()
            .executor(task -> {
              if (tasks.incrementAndGet() > 1) {
                throw new RejectedExecutionException("one task only");
              }
              threads.execute(task);
            })
            .listener(
                new FlightListener<String>() {
                  @Override
                  public void joined(String key, int callers) {
                    joining.countDown();
                    try {
                      told.await();
                    } catch (InterruptedException expected) {
                      Thread.currentThread().interrupt();
                    }
                  }
                })
            .build();
    Future<?> leading =
        threads.submit(() ->
            flights.call(
                "a",
                key -> {
                  leader.set(Thread.currentThread());
                  begun.countDown();
                  new CountDownLatch(1).await();
                  return 0;
                }));
    begun.await();
    Future<CompletableFuture<Integer>> follower =
        threads.submit(() -> flights.submit("a", this::untilGate));
    joining.await();
    leader.get().interrupt();
    await().until(leading::isDone);
    told.countDown();
    CompletableFuture<Integer> future = follower.get();
    gate.countDown();
    assertThat(future.get()).isEqualTo(1);
  }

  @Test
  void submit_handedOffInlineByAnInterruptedLeader_isNotInterrupted() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    AtomicReference<Thread> leader = new AtomicReference<>();
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().executor(Runnable::run).build();
    Future<Boolean> leading =
        threads.submit(() -> {
          try {
            flights.call(
                "a",
                key -> {
                  leader.set(Thread.currentThread());
                  begun.countDown();
                  while (!Thread.currentThread().isInterrupted()) {
                    Thread.onSpinWait();
                  }
                  throw new IllegalStateException("interrupted");
                });
            return false;
          } catch (IllegalStateException expected) {
            return Thread.currentThread().isInterrupted();
          }
        });
    begun.await();
    CompletableFuture<Boolean> follower = new CompletableFuture<>();
    CompletableFuture<Integer> future =
        flights.submit(
            "a",
            key -> {
              follower.complete(Thread.currentThread().isInterrupted());
              return 1;
            });
    leader.get().interrupt();
    assertThat(leading.get()).isTrue();
    assertThat(future.get()).isEqualTo(1);
    assertThat(follower.get()).isFalse();
  }

  @Test
  void call_insideAWorkTooOldToJoin_startsANewFlight() throws Exception {
    AtomicLong now = new AtomicLong();
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().maxJoinAge(Duration.ofNanos(1)).build(now::get);
    int value =
        flights.call(
            "a",
            outer -> {
              now.set(2);
              return flights.call("a", inner -> 7);
            });
    assertThat(value).isEqualTo(7);
  }

  @Test
  void cancel_listenerIsSlow_holdsUpNeitherTheInterruptNorTheNext() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch interrupted = new CountDownLatch(1);
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder()
            .freshness(Freshness.NEXT)
            .listener(
                new FlightListener<String>() {
                  @Override
                  public void left(String key, Departure departure) {
                    try {
                      gate.await();
                    } catch (InterruptedException expected) {
                      Thread.currentThread().interrupt();
                    }
                  }
                })
            .build();
    CompletableFuture<Integer> first =
        flights.submit(
            "a",
            key -> {
              begun.countDown();
              try {
                new CountDownLatch(1).await();
              } finally {
                interrupted.countDown();
              }
              return 0;
            });
    begun.await();
    CompletableFuture<Integer> second = flights.submit("a", key -> 2);
    threads.execute(() -> first.cancel(true));
    assertThat(second.get(20, TimeUnit.SECONDS)).isEqualTo(2);
    interrupted.await();
  }

  @Test
  void future_completedWithNoFailure_changesNothing() throws Exception {
    SingleFlight<String, Integer> flights = SingleFlight.create();
    CompletableFuture<Integer> future = flights.submit("a", this::untilGate);
    assertThatNullPointerException().isThrownBy(() -> future.completeExceptionally(null));
    assertThatNullPointerException().isThrownBy(() -> future.obtrudeException(null));
    gate.countDown();
    assertThat(future.get()).isEqualTo(1);
  }

  @Test
  void land_onlyFutureOfAFollowerHasLeft_troublesTheExecutorNoMore() {
    Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().executor(tasks::add).build();
    CompletableFuture<Integer> stage = new CompletableFuture<>();
    CompletableFuture<Integer> leader = flights.callAsync("a", key -> stage);
    assertThat(flights.submit("a", key -> 2).cancel(true)).isTrue();
    stage.complete(1);
    assertThat(leader).isCompletedWithValue(1);
    assertThat(tasks).isEmpty();
  }

  @Test
  void future_completedByItsCaller_answersAsAnyFutureDoes() {
    SingleFlight<String, String> flights = SingleFlight.create();
    CompletableFuture<String> first = flights.callAsync("a", key -> new CompletableFuture<>());
    assertThat(first.complete("mine")).isTrue();
    assertThat(first.complete("again")).isFalse();
    assertThat(first.completeExceptionally(new Exception())).isFalse();
    assertThat(first.cancel(true)).isFalse();
    assertThat(first).isCompletedWithValue("mine");
    CompletableFuture<String> second = flights.callAsync("a", key -> new CompletableFuture<>());
    assertThat(second.completeExceptionally(new Exception())).isTrue();
    CompletableFuture<String> third = flights.callAsync("a", key -> new CompletableFuture<>());
    assertThat(third.completeAsync(() -> "own", Runnable::run)).isSameAs(third);
    assertThat(third).isCompletedWithValue("own");
  }

  /** The work of a follower would see what the leader's thread handed down. */
  @Test
  void handOff_inheritableThreadLocals_areNotHandedDown() throws Exception {
    InheritableThreadLocal<String> user = new InheritableThreadLocal<>();
    SingleFlight<String, String> flights = SingleFlight.create();
    CountDownLatch begun = new CountDownLatch(1);
    Thread leader =
        new Thread(() -> {
          user.set("the leader");
          try {
            flights.call(
                "a",
                key -> {
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
    CompletableFuture<String> follower = flights.submit("a", key -> "seen: " + user.get());
    leader.interrupt();
    assertThat(follower.get()).isEqualTo("seen: null");
  }

  /**
   * Between a hand-off and the next work, nobody performs; who opened the herd is not the leader.
   */
  @Test
  void inFlight_nobodyPerformsAfterAHandOff_namesTheLeaderThatWas() throws Exception {
    AtomicReference<Runnable> held = new AtomicReference<>();
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().executor(held::set).build();
    CountDownLatch begun = new CountDownLatch(1);
    Thread leader =
        new Thread(
            () -> {
              try {
                flights.call(
                    "a",
                    key -> {
                      begun.countDown();
                      new CountDownLatch(1).await();
                      return 0;
                    });
              } catch (InterruptedException expected) {
                Thread.currentThread().interrupt();
              }
            },
            "the leader that was");
    leader.start();
    begun.await();
    CompletableFuture<Integer> follower = flights.submit("a", key -> 2);
    leader.interrupt();
    await().until(() -> held.get() != null);
    assertThat(flights.inFlight())
        .singleElement()
        .extracting(InFlight::leader)
        .isEqualTo("the leader that was");
    held.get().run();
    assertThat(follower.get()).isEqualTo(2);
  }

  /** A cycle that is found may be gone a moment later, since the other side has found it too. */
  @Test
  void call_cycleBreaksWhileItIsTold_isNotPerformedAfterAll() throws Exception {
    CountDownLatch bothPerform = new CountDownLatch(2);
    AtomicReference<Runnable> whenDescribed = new AtomicReference<>(() -> {});
    Object keyOfOther =
        new Object() {
          @Override
          public String toString() {
            whenDescribed.getAndSet(() -> {}).run();
            return "b";
          }
        };
    SingleFlight<Object, Object> flights =
        SingleFlight.builder().freshness(Freshness.NEXT).build(System::nanoTime, Runnable::run);
    FutureTask<Object> other =
        new FutureTask<>(() ->
            flights.call(
                keyOfOther,
                b -> {
                  bothPerform.countDown();
                  bothPerform.await();
                  return flights.call("a", a -> "never");
                }));
    Thread otherThread = new Thread(other);
    Future<Object> mine =
        threads.submit(() ->
            flights.call(
                "a",
                a -> {
                  bothPerform.countDown();
                  bothPerform.await();
                  await().until(() -> otherThread.getState() == Thread.State.WAITING);
                  whenDescribed.set(() -> {
                    otherThread.interrupt();
                    await().until(() -> other.isDone() || executions.get() > 0);
                  });
                  return flights.call(
                      keyOfOther,
                      Duration.ofHours(1),
                      b -> {
                        executions.incrementAndGet();
                        gate.await();
                        return "performed";
                      });
                }));
    otherThread.start();
    assertThatThrownBy(mine::get).hasCauseInstanceOf(FlightDeadlockException.class);
    assertThat(executions).hasValue(0);
  }

  /** The links of a chain are read one after another: one is gone before the last is read. */
  @Test
  void call_chainBreaksWhileItIsFollowed_isNoDeadlock() throws Exception {
    LocalSingleFlight<String, String> flights =
        (LocalSingleFlight<String, String>) SingleFlight.<String, String>create();
    CountDownLatch mayAsk = new CountDownLatch(1);
    CountDownLatch hasLeft = new CountDownLatch(1);
    FutureTask<String> a =
        new FutureTask<>(() ->
            flights.call(
                "a",
                key -> {
                  mayAsk.await();
                  return flights.call("b", b -> "never");
                }));
    FutureTask<String> c =
        new FutureTask<>(() -> flights.call("c", key -> flights.call("a", other -> "never")));
    FutureTask<String> b =
        new FutureTask<>(() ->
            flights.call(
                "b",
                key -> {
                  try {
                    return flights.call("c", other -> "never");
                  } catch (InterruptedException left) {
                    hasLeft.countDown();
                    gate.await();
                    return "of b";
                  }
                }));
    Thread threadOfA = new Thread(a);
    threadOfA.start();
    await().until(() -> !flights.inFlight().isEmpty());
    Thread threadOfC = new Thread(c);
    threadOfC.start();
    await().until(() -> threadOfC.getState() == Thread.State.WAITING);
    Thread threadOfB = new Thread(b);
    threadOfB.start();
    await().until(() -> threadOfB.getState() == Thread.State.WAITING);
    synchronized (flights.table.find("a", "a".hashCode())) {
      mayAsk.countDown();
      await().until(() -> threadOfA.getState() == Thread.State.BLOCKED);
      threadOfB.interrupt();
      hasLeft.await();
    }
    await().until(() -> a.isDone() || threadOfA.getState() == Thread.State.WAITING);
    gate.countDown();
    assertThat(a.get()).isEqualTo("of b");
    assertThat(c.get()).isEqualTo("of b");
  }

  /** Who waited has left its flight, and is told so: nobody waits for it any more. */
  @Test
  void call_ofWhatAThreadPerformsThatHasJustLeft_isNoDeadlock() throws Exception {
    CountDownLatch left = new CountDownLatch(1);
    SingleFlight<String, String> flights =
        SingleFlight.<String, String>builder()
            .listener(
                new FlightListener<String>() {
                  @Override
                  public void left(String key, Departure departure) {
                    left.countDown();
                    awaitGate();
                  }
                })
            .build();
    FutureTask<String> a =
        new FutureTask<>(() ->
            flights.call(
                "a",
                key -> {
                  try {
                    return flights.call(
                        "b",
                        Duration.ofHours(1),
                        b -> {
                          left.await();
                          return flights.call("a", again -> "never");
                        });
                  } catch (InterruptedException hasLeft) {
                    return "of a";
                  }
                }));
    Thread threadOfA = new Thread(a);
    threadOfA.start();
    await().until(() -> flights.inFlight().size() == 2);
    CompletableFuture<String> follower = flights.submit("b", key -> "never");
    await().until(() -> threadOfA.getState() == Thread.State.TIMED_WAITING);
    threadOfA.interrupt();
    await().until(() -> follower.isDone() || callers(flights) == 3);
    gate.countDown();
    assertThat(follower.get()).isEqualTo("of a");
    assertThat(a.get()).isEqualTo("of a");
  }

  /** It waited for room, as an executor may that has none, and followers came meanwhile. */
  @Test
  void handOff_executorIsInterruptedAsItTakesTheWork_isTheLeadersOwn() throws Exception {
    AtomicReference<SingleFlight<String, Integer>> itself = new AtomicReference<>();
    RejectedExecutionException noRoom =
        new RejectedExecutionException("no room", new InterruptedException());
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder()
            .executor(task -> {
              await().until(() -> itself.get().inFlight().get(0).callers() == 2);
              throw noRoom;
            })
            .build();
    itself.set(flights);
    Future<CompletableFuture<Integer>> leader = threads.submit(() -> flights.submit("a", key -> 1));
    await().until(() -> !flights.inFlight().isEmpty());
    assertThat(flights.call("a", key -> 2)).isEqualTo(2);
    assertThatThrownBy(leader.get()::get).hasCause(noRoom);
    assertThat(flights.inFlight()).isEmpty();
  }

  private static RuntimeException withoutCause() {
    throw new IllegalStateException("of its cause");
  }

  @Test
  void callAsync_causeOfItsFailureThrows_failsForAllAndFreesTheKey() throws Exception {
    SingleFlight<String, Integer> flights = SingleFlight.create();
    Throwable any =
        new RuntimeException("of the stage") {
          private static final long serialVersionUID = 1;

          @Override
          public synchronized Throwable getCause() {
            return withoutCause();
          }
        };
    Throwable wrapper =
        new CompletionException("of the stage", null) {
          private static final long serialVersionUID = 1;

          @Override
          public synchronized Throwable getCause() {
            return withoutCause();
          }
        };
    for (Throwable failure : List.of(any, wrapper)) {
      Throwable got =
          flights
              .callAsync("a", key -> CompletableFuture.failedFuture(failure))
              .handle((value, thrown) -> thrown)
              .get(20, TimeUnit.SECONDS);
      assertThat(got == failure).isTrue();
      assertThat(got.getSuppressed()).isEmpty();
      assertThat(flights.inFlight()).isEmpty();
    }
  }

  @Test
  void allLeave_interruptOfTheThreadThrows_isAbandonedAllTheSame() throws Exception {
    FlightStats stats = new FlightStats();
    CountDownLatch begun = new CountDownLatch(1);
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder()
            .listener(stats)
            .executor(task ->
                new Thread(task) {
                  @Override
                  public void interrupt() {
                    super.interrupt();
                    throw new IllegalStateException("not now");
                  }
                }.start())
            .build();
    CompletableFuture<Integer> future =
        flights.submit(
            "a",
            key -> {
              begun.countDown();
              return untilGate(key);
            });
    begun.await();
    assertThat(future.cancel(true)).isTrue();
    assertThat(future).isCancelled();
    assertThat(stats.snapshot().cancelled()).isEqualTo(1);
    assertThat(stats.snapshot().abandoned()).isEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void forget_flightLandsOnTheWay_answersThatThereWasNone(boolean followed) throws Exception {
    SingleFlight<Object, Integer> flights = SingleFlight.create();
    FutureTask<Integer> leader = new FutureTask<>(() -> flights.call("a", key -> untilGate("a")));
    threads.execute(leader);
    await().until(() -> !flights.inFlight().isEmpty());
    CompletableFuture<Integer> follower =
        followed ? flights.submit("a", key -> 0) : CompletableFuture.completedFuture(0);
    Object sameKey =
        new WatchedKey(
            "a",
            () -> {
              gate.countDown();
              await().until(() -> leader.isDone() && follower.isDone());
            });
    assertThat(flights.forget(sameKey)).isFalse();
    assertThat(leader.get()).isEqualTo(1);
  }

  /** Only then is its stage there to be cancelled. */
  @Test
  void callAsync_abandonedWhileItsFunctionRunsOnTheExecutor_cancelsTheStage() throws Exception {
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().freshness(Freshness.NEXT).build();
    CountDownLatch begun = new CountDownLatch(1);
    CompletableFuture<Integer> stage = new CompletableFuture<>();
    CompletableFuture<Integer> ahead = flights.callAsync("a", key -> new CompletableFuture<>());
    CompletableFuture<Integer> behind =
        flights.callAsync(
            "a",
            key -> {
              begun.countDown();
              try {
                new CountDownLatch(1).await();
              } catch (InterruptedException abandoned) {
                return stage;
              }
              return stage;
            });
    assertThat(ahead.cancel(true)).isTrue();
    begun.await();
    assertThat(behind.cancel(true)).isTrue();
    await().until(stage::isCancelled);
  }

  /** A thread goes on when its wait is over, and so may what it waited for. */
  @Test
  void call_insideAWorkThatHasWaited_isCollected() throws Exception {
    SingleFlight<Object, Integer> flights = SingleFlight.create();
    CountDownLatch performing = new CountDownLatch(1);
    AtomicReference<Object> inner = new AtomicReference<>(new Object());
    WeakReference<Object> reference = new WeakReference<>(inner.get());
    CompletableFuture<Integer> stage = new CompletableFuture<>();
    CompletableFuture<Integer> leader = flights.callAsync(inner.get(), key -> stage);
    Thread[] follower = new Thread[1];
    Future<Integer> outer =
        threads.submit(() ->
            flights.call(
                "outer",
                key -> {
                  follower[0] = Thread.currentThread();
                  performing.countDown();
                  int got = flights.call(inner.getAndSet(null), again -> 0);
                  gate.await();
                  return got;
                }));
    performing.await();
    await().until(() -> follower[0].getState() == Thread.State.WAITING);
    stage.complete(2);
    assertThat(leader.get()).isEqualTo(2);
    await()
        .until(() -> {
          System.gc();
          return reference.get() == null;
        });
    gate.countDown();
    assertThat(outer.get()).isEqualTo(2);
  }

  @Test
  void call_failureWhoseCausesGoInACircle_lands() {
    SingleFlight<String, Integer> flights = SingleFlight.create();
    Exception cause = new Exception();
    Exception failure = new Exception(cause);
    cause.initCause(failure);
    assertThatThrownBy(() ->
            flights.call(
                "a",
                key -> {
                  throw failure;
                }))
        .isSameAs(failure);
    assertThat(flights.inFlight()).isEmpty();
  }

  @Test
  void submit_byAnInterruptedThread_leavesItSo() {
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().executor(Runnable::run).build();
    Thread.currentThread().interrupt();
    CompletableFuture<Integer> future = flights.submit("a", key -> 1);
    assertThat(Thread.interrupted()).isTrue();
    assertThat(future).isCompletedWithValue(1);
  }

  @Test
  void handOver_noThreadIsToBeHad_landsWithThat() {
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder()
            .freshness(Freshness.NEXT)
            .executor(Runnable::run)
            .build(
                System::nanoTime,
                task -> {
                  throw new RejectedExecutionException("no thread");
                });
    CompletableFuture<Integer> stage = new CompletableFuture<>();
    CompletableFuture<Integer> ahead = flights.callAsync("a", key -> stage);
    CompletableFuture<Integer> behind = flights.submit("a", key -> 2);
    stage.complete(1);
    assertThat(ahead).isCompletedWithValue(1);
    assertThatThrownBy(() -> behind.get(20, TimeUnit.SECONDS)).hasRootCauseMessage("no thread");
    assertThat(flights.inFlight()).isEmpty();
  }

  @Test
  void executor_dropsAWorkAndNoThreadIsToBeHad_isTakenUpByTheCleaner() {
    Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder()
            .executor(tasks::add)
            .build(
                System::nanoTime,
                task -> {
                  throw new RejectedExecutionException("no thread");
                });
    CompletableFuture<Integer> dropped = flights.submit("a", key -> 1);
    tasks.clear();
    await()
        .until(() -> {
          System.gc();
          return dropped.isDone();
        });
    assertThatThrownBy(dropped::join).hasRootCauseMessage("the executor dropped the task");
  }

  @Test
  void inFlight_aloneOnItsThread_isNamedByIt() throws Exception {
    SingleFlight<String, List<InFlight<String>>> flights = SingleFlight.create();
    assertThat(flights.call("a", key -> flights.inFlight()))
        .singleElement()
        .extracting(InFlight::leader)
        .isEqualTo(Thread.currentThread().getName());
  }

  /** Its thread goes on performing: what it would have waited for is let go. */
  @Test
  void call_refusedAsADeadlock_isCollected() throws Exception {
    SingleFlight<Object, String> flights = SingleFlight.create();
    AtomicReference<Object> inner = new AtomicReference<>(new Object());
    WeakReference<Object> reference = new WeakReference<>(inner.get());
    CountDownLatch outerPerforms = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    CountDownLatch refused = new CountDownLatch(1);
    Future<String> outer =
        threads.submit(() ->
            flights.call(
                "outer",
                key -> {
                  outerPerforms.countDown();
                  go.await();
                  assertThatThrownBy(() -> flights.call(inner.getAndSet(null), again -> "never"))
                      .isInstanceOf(FlightDeadlockException.class);
                  refused.countDown();
                  gate.await();
                  return "outer";
                }));
    outerPerforms.await();
    FutureTask<String> other =
        new FutureTask<>(
            () -> flights.call(inner.get(), key -> flights.call("outer", again -> "never")));
    Thread otherThread = new Thread(other);
    otherThread.start();
    await().until(() -> otherThread.getState() == Thread.State.WAITING);
    go.countDown();
    refused.await();
    otherThread.interrupt();
    assertThatThrownBy(other::get).hasCauseInstanceOf(InterruptedException.class);
    await()
        .until(() -> {
          System.gc();
          return reference.get() == null;
        });
    gate.countDown();
    assertThat(outer.get()).isEqualTo("outer");
  }

  /** Who hands off on its own thread goes on at once, and its next park is not cut short. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void handOff_byABlockingLeader_leavesItsThreadNoPermit(boolean onItsExecutor) throws Exception {
    SingleFlight<String, String> flights =
        SingleFlight.<String, String>builder()
            .handOffOn(IllegalStateException.class::isInstance)
            .executor(Runnable::run)
            .build();
    Work<String, String, RuntimeException> failing =
        key -> {
          // A latch might leave a permit of its own.
          while (flights.inFlight().get(0).callers() < 2) {
            Thread.onSpinWait();
          }
          throw new IllegalStateException("the leader's own");
        };
    Thread leader =
        parkedAfter(() -> {
          if (onItsExecutor) {
            flights.call("a", Duration.ofHours(1), failing);
          } else {
            flights.call("a", failing);
          }
        });
    await().until(() -> !flights.inFlight().isEmpty());
    assertThat(flights.call("a", key -> "by the heir")).isEqualTo("by the heir");
    release(leader);
  }

  @Test
  void handOff_leaderHasLeft_doesNotWakeItsThread() throws Exception {
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder()
            .handOffOn(IllegalStateException.class::isInstance)
            .build();
    Thread leader =
        parkedAfter(() ->
            flights.call(
                "a",
                Duration.ofHours(1),
                key -> {
                  gate.await();
                  throw new IllegalStateException("the leader's own");
                }));
    await().until(() -> !flights.inFlight().isEmpty());
    CompletableFuture<Integer> heir = flights.submit("a", key -> 1);
    await().until(() -> leader.getState() == Thread.State.TIMED_WAITING);
    leader.interrupt();
    await().until(() -> LockSupport.getBlocker(leader) == PARKED);
    gate.countDown();
    assertThat(heir.get()).isEqualTo(1);
    release(leader);
  }

  @Test
  void handOff_toABatchThatComesLater_leavesItsThreadNoPermit() throws Exception {
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder()
            .handOffOn(IllegalStateException.class::isInstance)
            .build();
    CountDownLatch mayFail = new CountDownLatch(1);
    Future<Integer> first = threads.submit(() -> flights.call("a", this::untilGate));
    Future<Integer> second =
        threads.submit(() ->
            flights.call(
                "b",
                key -> {
                  mayFail.await();
                  throw new IllegalStateException("the leader's own");
                }));
    await().until(() -> flights.inFlight().size() == 2);
    Thread batch = parkedAfter(() -> flights.callAll(List.of("a", "b"), keys -> Map.of("b", 2)));
    await().until(() -> callers(flights) == 4);
    await().until(() -> batch.getState() == Thread.State.WAITING);
    mayFail.countDown();
    assertThatThrownBy(second::get).hasRootCauseMessage("the leader's own");
    gate.countDown();
    assertThat(first.get()).isEqualTo(1);
    release(batch);
  }

  /** Starts a thread that makes a call, whatever comes of it, and then parks twice. */
  private static Thread parkedAfter(ThrowingRunnable call) {
    Thread thread =
        new Thread(() -> {
          try {
            call.run();
          } catch (Throwable own) {
            // It is the call's.
          }
          LockSupport.park(PARKED);
          LockSupport.park(PARKED);
        });
    thread.start();
    return thread;
  }

  /** Sees that a thread is where one permit more, and another one, get it to its end. */
  private static void release(Thread thread) throws InterruptedException {
    for (int i = 0; i < 2; i++) {
      await().until(() -> LockSupport.getBlocker(thread) == PARKED);
      LockSupport.unpark(thread);
    }
    thread.join();
  }
}
