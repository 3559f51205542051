package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.lang.ref.Reference;
import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Nothing is left behind (P9): after calls of every kind with every ending, what an instance
 * reaches on the heap is what a fresh one reaches, class by class. The walk ends at threads and at
 * what is the JVM's own. Needs the {@code --add-opens} of the POM.
 */
@Timeout(value = 30, unit = TimeUnit.MINUTES)
class LeakTest {

  private static final int CALLS = 1_000_000;
  private static final int WAITS_ONCE_IN = 16;

  /** A key whose hash code changes while it is in flight. */
  private static final class Key {
    int hash;

    Key(int hash) {
      this.hash = hash;
    }

    @Override
    public int hashCode() {
      return hash;
    }

    @Override
    public boolean equals(Object other) {
      return this == other;
    }
  }

  private static final class Planned extends Exception {
    private static final long serialVersionUID = 1;

    Planned() {
      super(null, null, false, false);
    }
  }

  /** Refuses when told to. */
  private static final class Switch implements Executor {
    volatile boolean refuses;
    final Executor pool;

    Switch(Executor pool) {
      this.pool = pool;
    }

    @Override
    public void execute(Runnable task) {
      if (refuses) {
        throw new RejectedExecutionException();
      }
      pool.execute(task);
    }
  }

  private final List<Thread> poolThreads = Collections.synchronizedList(new ArrayList<>());

  @ParameterizedTest
  @EnumSource(Freshness.class)
  void allKinds_allEndings_nothingIsReachable(Freshness freshness) throws Exception {
    AtomicInteger calls = new AtomicInteger();
    ThreadFactory factory =
        task -> {
          Thread thread = new Thread(task, "leak");
          thread.setDaemon(true);
          poolThreads.add(thread);
          return thread;
        };
    ThreadPoolExecutor pool =
        new ThreadPoolExecutor(2, 2, 0, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), factory);
    // In place of the library's own, whose threads end only after a while where they are no
    // virtual ones.
    ThreadPoolExecutor standard = (ThreadPoolExecutor) Executors.newCachedThreadPool(factory);
    try {
      Switch executor = new Switch(pool);
      SingleFlight.Builder<Object, Object> options =
          SingleFlight.builder().executor(executor).freshness(freshness);
      LongSupplier clock = System::nanoTime;
      SingleFlight<Object, Object> fresh = options.build(clock, standard);
      SingleFlight<Object, Object> used = options.build(clock, standard);
      for (int round = 0; calls.get() < CALLS; round++) {
        everyEnding(used, executor, round, calls);
      }
      await().until(() -> standard.getActiveCount() == 0);
      await().until(() -> pool.getActiveCount() == 0 && pool.getQueue().isEmpty());

      assertThat(used.inFlight()).isEmpty();
      Set<Object> excepted = Set.of(pool, standard);
      assertThat(histogram(used, excepted)).isEqualTo(histogram(fresh, excepted));
      for (Thread thread : poolThreads) {
        assertThat(heldBy(threadLocalsOf(thread))).isEmpty();
      }
      assertThat(heldBy(threadLocalsOf(Thread.currentThread()))).isEmpty();
      System.out.printf(
          "leaks %s: calls=%,d, heap as fresh: %s%n",
          freshness,
          calls.get(),
          histogram(used, excepted).values().stream().mapToInt(Integer::intValue).sum());
    } finally {
      pool.shutdownNow();
      standard.shutdownNow();
    }
  }

  /** The walk sees what is there: a flight in progress, and what hangs on it. */
  @Test
  void histogram_flightInProgress_differs() throws Exception {
    SingleFlight<Object, Object> fresh = SingleFlight.create();
    SingleFlight<Object, Object> used = SingleFlight.create();
    CompletableFuture<Object> stage = new CompletableFuture<>();
    used.callAsync("key", key -> stage);

    assertThat(histogram(used, Set.of())).isNotEqualTo(histogram(fresh, Set.of()));
    assertThat(histogram(used, Set.of())).containsKey(Flight.class);
    stage.complete("value");
    assertThat(histogram(used, Set.of())).isEqualTo(histogram(fresh, Set.of()));
  }

  @Test
  void heldBy_threadThatPerforms_isSeen() throws Exception {
    List<Object> seen =
        SingleFlight.<Object, List<Object>>create()
            .call("key", key -> heldBy(threadLocalsOf(Thread.currentThread())));

    assertThat(seen).isNotEmpty();
  }

  private static void everyEnding(
      SingleFlight<Object, Object> flights, Switch executor, int round, AtomicInteger calls)
      throws Exception {
    Object key = "key " + round;

    flights.call(key, any -> "value");
    flights.call(key, any -> null);
    failing(() ->
        flights.call(
            key,
            any -> {
              throw new Planned();
            }));
    failing(() ->
        flights.call(
            key,
            any -> {
              throw new InterruptedException();
            }));
    calls.addAndGet(4);

    flights.call(key, Duration.ofDays(1), any -> "value");
    failing(() -> flights.call(key, Duration.ZERO, any -> "value"));
    CountDownLatch gate = new CountDownLatch(1);
    failing(() ->
        flights.call(
            key,
            Duration.ofNanos(1),
            any -> {
              gate.await();
              return 1;
            }));
    gate.countDown();
    Thread.currentThread().interrupt();
    failing(() -> flights.call(key, any -> "value"));
    calls.addAndGet(4);

    CompletableFuture<Object> stage = new CompletableFuture<>();
    CompletableFuture<Object> leader = flights.callAsync(key, any -> stage);
    CompletableFuture<Object> follower = flights.submit(key, any -> "value");
    CompletableFuture<Object> leaver = flights.callAsync(key, any -> stage);
    leaver.cancel(true);
    failing(() -> flights.call(key, Duration.ofNanos(1), any -> "value"));
    calls.addAndGet(interruptedFollower(flights, key, round));
    stage.completeExceptionally(round % 2 == 0 ? new InterruptedException() : new Planned());
    failing(leader::get);
    failing(follower::get);
    calls.addAndGet(4);

    CompletableFuture<Object> never = new CompletableFuture<>();
    flights.callAsync(key, any -> never).cancel(true);
    failing(() -> flights.callAsync(key, any -> null).get());
    CompletableFuture<Object> forgotten = new CompletableFuture<>();
    CompletableFuture<Object> old = flights.callAsync(key, any -> forgotten);
    CompletableFuture<Object> behind = flights.submit(key, any -> "value");
    flights.forget(key);
    flights.call(key, any -> "value");
    forgotten.complete("value");
    old.get();
    behind.get();
    calls.addAndGet(5);

    executor.refuses = true;
    failing(() -> flights.submit(key, any -> "value").get());
    failing(() -> flights.call(key, Duration.ofDays(1), any -> "value"));
    executor.refuses = false;
    calls.addAndGet(2);

    Key changing = new Key(round);
    flights.call(changing, any -> changing.hash = ~changing.hash);
    flights.submit(changing, any -> changing.hash = ~changing.hash).get();
    CompletableFuture<Object> changed = new CompletableFuture<>();
    CompletableFuture<Object> lost = flights.callAsync(changing, any -> changed);
    changing.hash += 1;
    lost.cancel(true);
    calls.addAndGet(3);

    flights.callAll(List.of(key, round), keys -> Map.of(round, "value"));
    failing(() ->
        flights.callAll(
            List.of(key, round),
            keys -> {
              throw new Planned();
            }));
    calls.addAndGet(4);
  }

  /** Most arrive interrupted; now and then one is that waits, by turns in a call of each kind. */
  private static int interruptedFollower(
      SingleFlight<Object, Object> flights, Object key, int round) throws Exception {
    Thread.currentThread().interrupt();
    failing(() -> flights.call(key, Duration.ofDays(1), any -> "value"));
    if (round % WAITS_ONCE_IN != 0) {
      return 1;
    }
    Callable<Object> follow =
        switch (round / WAITS_ONCE_IN % 3) {
          case 0 -> () -> flights.call(key, any -> "value");
          case 1 -> () -> flights.call(key, Duration.ofDays(1), any -> "value");
          default -> () -> flights.callAll(List.of(key), keys -> Map.of());
        };
    FutureTask<Object> call = new FutureTask<>(follow);
    Thread waiting = new Thread(call, "leak");
    waiting.setDaemon(true);
    waiting.start();
    await()
        .pollInSameThread()
        .pollDelay(Duration.ZERO)
        .pollInterval(Duration.ofMillis(1))
        .until(() -> isParked(waiting) && LockSupport.getBlocker(waiting) instanceof Flight);
    waiting.interrupt();
    assertThatThrownBy(call::get).hasCauseInstanceOf(InterruptedException.class);
    return 2;
  }

  private static boolean isParked(Thread thread) {
    return switch (thread.getState()) {
      case WAITING, TIMED_WAITING -> true;
      default -> false;
    };
  }

  private interface Failing {
    Object call() throws Exception;
  }

  private static void failing(Failing call) {
    try {
      call.call();
    } catch (Planned
        | InterruptedException
        | TimeoutException
        | ExecutionException
        | CancellationException
        | NullPointerException
        | RejectedExecutionException expected) {
      Thread.interrupted();
    } catch (Exception unexpected) {
      throw new AssertionError(unexpected);
    }
  }

  /** Counts, by class, what can be reached from an object. */
  private static Map<Class<?>, Integer> histogram(Object root, Set<Object> excepted)
      throws IllegalAccessException {
    Map<Class<?>, Integer> counts = new HashMap<>();
    for (Object each : reachable(List.of(root), excepted)) {
      counts.merge(each.getClass(), 1, Integer::sum);
    }
    return counts;
  }

  private static Set<Object> reachable(List<?> roots, Set<Object> excepted)
      throws IllegalAccessException {
    Set<Object> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    Deque<Object> open = new ArrayDeque<>(roots);
    seen.addAll(roots);
    while (!open.isEmpty()) {
      Object object = open.remove();
      List<Object> references = new ArrayList<>();
      if (object instanceof Object[] array) {
        for (int i = 0; i < Array.getLength(array); i++) {
          references.add(array[i]);
        }
      }
      for (Class<?> type = object.getClass(); type != null; type = type.getSuperclass()) {
        for (Field field : type.getDeclaredFields()) {
          if (!Modifier.isStatic(field.getModifiers()) && !field.getType().isPrimitive()) {
            field.setAccessible(true);
            references.add(field.get(object));
          }
        }
      }
      for (Object reference : references) {
        boolean followed =
            reference != null
                && !(reference instanceof Class<?>)
                && !(reference instanceof Thread)
                && !(reference instanceof ClassLoader)
                && !reference.getClass().getName().startsWith("jdk.internal.")
                && excepted.stream().noneMatch(each -> each == reference);
        if (followed && seen.add(reference)) {
          open.add(reference);
        }
      }
    }
    return seen;
  }

  private static List<Object> threadLocalsOf(Thread thread) throws ReflectiveOperationException {
    List<Object> values = new ArrayList<>();
    Field locals = Thread.class.getDeclaredField("threadLocals");
    locals.setAccessible(true);
    Object map = locals.get(thread);
    if (map != null) {
      Field table = map.getClass().getDeclaredField("table");
      table.setAccessible(true);
      for (Object entry : (Object[]) table.get(map)) {
        if (entry != null) {
          Field value = entry.getClass().getDeclaredField("value");
          value.setAccessible(true);
          values.add(value.get(entry));
        }
      }
    }
    return values;
  }

  /** Returns what the performers among some values refer to, other than their thread. */
  private static List<Object> heldBy(List<Object> values) throws ReflectiveOperationException {
    List<Object> held = new ArrayList<>();
    for (Object value : values) {
      if (value instanceof Reference<?> reference
          && reference.get() instanceof Performer performer) {
        for (Field field : Performer.class.getDeclaredFields()) {
          field.setAccessible(true);
          if (!Modifier.isStatic(field.getModifiers()) && !field.getType().isPrimitive()) {
            held.add(field.get(performer));
          }
        }
        held.remove(performer.thread);
      }
    }
    held.removeIf(Objects::isNull);
    return held;
  }
}
