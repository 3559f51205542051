package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The rules of {@code callAll}. */
public abstract class CallAllContract extends Contract {

  @Test
  void callAll_duplicatesExtraAbsentAndNull_answersAsAsked() throws Exception {
    SingleFlight<Object, Object> flights = instance();
    List<Set<Object>> asked = new ArrayList<>();
    Map<Object, Object> values =
        flights.callAll(
            List.of("b", "a", "b", "absent", "null"),
            keys -> {
              asked.add(keys);
              assertThatThrownBy(() -> keys.remove("a"))
                  .isInstanceOf(UnsupportedOperationException.class);
              assertThatThrownBy(flights::currentKey).isInstanceOf(IllegalStateException.class);
              Map<Object, Object> answers = new HashMap<>();
              answers.put("a", 1);
              answers.put("b", 2);
              answers.put("null", null);
              answers.put("extra", 4);
              return answers;
            });
    assertThat(asked).hasSize(1);
    assertThat(asked.get(0)).containsExactly("b", "a", "absent", "null");
    Map<Object, Object> expected = new HashMap<>();
    expected.put("a", 1);
    expected.put("b", 2);
    expected.put("null", null);
    assertThat(values).isEqualTo(expected);
    assertThat(values.keySet()).containsExactly("b", "a", "null");
  }

  @Test
  void callAll_noKeys_performsNothing() throws Exception {
    assertThat(
            instance()
                .callAll(
                    List.of(),
                    keys -> {
                      throw new AssertionError("nothing to ask for");
                    }))
        .isEmpty();
  }

  @Test
  void callAll_absentKey_isNullForASingleCallerThatJoinedIt() throws Exception {
    SingleFlight<Object, Object> flights = instance();
    CyclicBarrier barrier = new CyclicBarrier(2);
    Future<Map<Object, Object>> batch =
        threads()
            .submit(() ->
                flights.callAll(
                    List.of("x", "y"),
                    keys -> {
                      barrier.await();
                      barrier.await();
                      return Map.of("y", 1);
                    }));
    barrier.await();
    List<Caller> joiners = new ArrayList<>();
    for (Kind kind : Kind.values()) {
      joiners.add(start(kind, Threads.PLATFORM, flights, "x", gated()));
    }
    awaitCallers(flights, 7);
    barrier.await();
    for (Caller joiner : joiners) {
      assertThat(joiner.value()).isNull();
    }
    assertThat(batch.get()).containsOnlyKeys("y");
  }

  @Test
  void callAll_nullMapOrFailure_goesToEveryLedKey() throws Exception {
    SingleFlight<Object, Object> flights = instance();
    assertThatThrownBy(() -> flights.callAll(List.of("a"), keys -> null))
        .isInstanceOf(NullPointerException.class);
    assertThat(flights.inFlight()).isEmpty();

    IOException failure = new IOException("the batch");
    CyclicBarrier barrier = new CyclicBarrier(2);
    Future<?> batch =
        threads()
            .submit(() ->
                flights.callAll(
                    List.of("a", "b", "c"),
                    keys -> {
                      barrier.await();
                      barrier.await();
                      throw failure;
                    }));
    barrier.await();
    List<Caller> joiners = new ArrayList<>();
    for (String key : List.of("a", "b", "c")) {
      joiners.add(start(Kind.CALL, Threads.PLATFORM, flights, key, gated()));
    }
    awaitCallers(flights, 6);
    barrier.await();
    for (Caller joiner : joiners) {
      assertThat(joiner.failure()).isSameAs(failure);
    }
    assertThatThrownBy(batch::get).cause().isSameAs(failure);
  }

  @Test
  void callAll_someKeysInFlight_asksForTheOthersAndJoinsThose() throws Exception {
    SingleFlight<Object, Object> flights = instance();
    GatedWork joined = gated();
    Caller leader = start(Kind.SUBMIT, Threads.PLATFORM, flights, "joined", joined);
    joined.awaitBegun();
    CompletableFuture<Set<Object>> asked = new CompletableFuture<>();
    Future<Map<Object, Object>> batch =
        threads()
            .submit(() ->
                flights.callAll(
                    List.of("joined", "led"),
                    keys -> {
                      asked.complete(Set.copyOf(keys));
                      return Map.of("led", 1, "joined", "ignored");
                    }));
    assertThat(asked.get(20, TimeUnit.SECONDS)).containsExactly("led");
    // What it led has landed although it still waits for what it joined.
    awaitCallers(flights, 2);
    assertThat(flights.inFlight()).hasSize(1);
    joined.returns(2);
    assertThat(batch.get()).containsExactly(Map.entry("joined", 2), Map.entry("led", 1));
    assertThat(leader.value()).isEqualTo(2);
  }

  @Test
  void callAll_joinedFlightsFail_throwsTheFirstInOrderAndLandsWhatItLed() throws Exception {
    SingleFlight<Object, Object> flights = instance();
    IOException first = new IOException("first");
    IOException second = new IOException("second");
    GatedWork a = gated();
    GatedWork b = gated();
    start(Kind.SUBMIT, Threads.PLATFORM, flights, "a", a);
    start(Kind.SUBMIT, Threads.PLATFORM, flights, "b", b);
    awaitCallers(flights, 2);
    CompletableFuture<Boolean> performed = new CompletableFuture<>();
    Future<?> batch =
        threads()
            .submit(() ->
                flights.callAll(
                    List.of("a", "led", "b"),
                    keys -> {
                      performed.complete(true);
                      return Map.of("led", 1);
                    }));
    performed.get(20, TimeUnit.SECONDS);
    awaitCallers(flights, 4);
    b.fails(second);
    awaitCallers(flights, 2);
    a.fails(first);
    assertThatThrownBy(() -> batch.get(20, TimeUnit.SECONDS)).cause().isSameAs(first);
  }

  @ParameterizedTest
  @EnumSource(Freshness.class)
  void callAll_crossingBatches_neverDeadlock(Freshness freshness) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(freshness));
    ExecutorService threads = threads();
    List<List<Object>> orders =
        List.of(
            List.of("a", "b", "c"), List.of("c", "b", "a"), List.of("b", "c"), List.of("c", "a"));
    for (int round = 0; round < 300; round++) {
      CyclicBarrier start = new CyclicBarrier(orders.size());
      List<Future<Map<Object, Object>>> batches = new ArrayList<>();
      for (List<Object> order : orders) {
        batches.add(
            threads.submit(() -> {
              start.await();
              return flights.callAll(
                  order,
                  keys -> {
                    Map<Object, Object> values = new HashMap<>();
                    keys.forEach(key -> values.put(key, key + "!"));
                    Thread.yield();
                    return values;
                  });
            }));
      }
      for (int i = 0; i < orders.size(); i++) {
        Map<Object, Object> values = batches.get(i).get(20, TimeUnit.SECONDS);
        assertThat(values.keySet()).containsExactlyElementsOf(orders.get(i));
        values.forEach((key, value) -> assertThat(value).isEqualTo(key + "!"));
      }
    }
  }

  /** A batch that joined a flight, of key x, whose leader then failed while it waits elsewhere. */
  private final class WaitsElsewhere {
    final SingleFlight<Object, Object> flights = instance();
    final GatedWork elsewhere = gated();
    final Queue<Set<Object>> asked = new ConcurrentLinkedQueue<>();
    final Future<Map<Object, Object>> batch;

    WaitsElsewhere() throws Exception {
      start(Kind.CALL, Threads.PLATFORM, flights, "elsewhere", elsewhere);
      GatedWork failing = gated();
      Caller leader = start(Kind.CALL, Threads.PLATFORM, flights, "x", failing);
      elsewhere.awaitBegun();
      failing.awaitBegun();
      batch =
          threads()
              .submit(() ->
                  flights.callAll(
                      List.of("elsewhere", "x"),
                      keys -> {
                        asked.add(Set.copyOf(keys));
                        assertThatThrownBy(flights::currentKey)
                            .isInstanceOf(IllegalStateException.class);
                        return Map.of("x", "by the batch");
                      }));
      awaitCallers(flights, 4);
      leader.thread().interrupt();
      assertThat(leader.failure()).isInstanceOf(InterruptedException.class);
      awaitCallers(flights, 3);
      assertThat(batch.isDone()).isFalse();
      assertThat(asked).isEmpty();
    }
  }

  /** A batch that waits elsewhere cannot perform what it joined; it does so when it gets there. */
  @Test
  void callAll_joinedFlightHandedOffWhileItWaitsElsewhere_performsThatKeyLater() throws Exception {
    WaitsElsewhere scene = new WaitsElsewhere();
    scene.elsewhere.returns(1);
    assertThat(scene.batch.get(20, TimeUnit.SECONDS)).containsEntry("x", "by the batch");
    assertThat(scene.asked).containsExactly(Set.of("x"));
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void callAll_joinedFlightHandedOffWhileItWaitsElsewhere_leavesItToANewcomer(Kind kind)
      throws Exception {
    WaitsElsewhere scene = new WaitsElsewhere();
    GatedWork work = GatedWork.returning("by the newcomer");
    Caller newcomer = start(kind, Threads.PLATFORM, scene.flights, "x", work);
    assertThat(newcomer.value()).isEqualTo("by the newcomer");
    assertThat(work.executions()).isEqualTo(1);
    scene.elsewhere.returns(1);
    assertThat(scene.batch.get(20, TimeUnit.SECONDS)).containsEntry("x", "by the newcomer");
    assertThat(scene.asked).isEmpty();
  }

  @ParameterizedTest
  @MethodSource(Case.MODES)
  void callAll_interruptedWhileItWaits_leavesAllThatItJoined(Case like) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(like.freshness()));
    GatedWork a = gated();
    GatedWork b = gated();
    Caller first = start(Kind.SUBMIT, like.threads(), flights, "a", a);
    Caller second = start(Kind.SUBMIT, like.threads(), flights, "b", b);
    a.awaitBegun();
    b.awaitBegun();
    FutureTask<?> batch =
        new FutureTask<>(() -> flights.callAll(List.of("a", "b"), keys -> Map.of()));
    Thread thread = like.threads().start(batch);
    awaitCallers(flights, 4);
    thread.interrupt();
    assertThatThrownBy(() -> got(batch)).hasCauseInstanceOf(InterruptedException.class);
    awaitCallers(flights, 2);
    a.returns(1);
    b.returns(2);
    assertThat(first.value()).isEqualTo(1);
    assertThat(second.value()).isEqualTo(2);
  }

  /** In NEXT the batch waits in line for each key, and performs the first alone. */
  @ParameterizedTest
  @MethodSource(Case.MODES)
  void callAll_interruptedAsLeader_handsEachKeyOff(Case like) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(like.freshness()));
    GatedWork aheadsWork = gated();
    int before = 0;
    if (like.freshness() == Freshness.NEXT) {
      start(Kind.CALL, Threads.PLATFORM, flights, "a", aheadsWork);
      start(Kind.CALL, Threads.PLATFORM, flights, "b", aheadsWork);
      awaitCallers(flights, 2);
      before = 2;
    }
    CompletableFuture<Thread> performing = new CompletableFuture<>();
    FutureTask<?> batch =
        new FutureTask<>(() ->
            flights.callAll(
                List.of("a", "b"),
                keys -> {
                  performing.complete(Thread.currentThread());
                  new CountDownLatch(1).await();
                  return Map.of();
                }));
    Thread thread = like.threads().start(batch);
    awaitCallers(flights, before + 2);
    await(() -> thread.getState() == Thread.State.WAITING);
    Caller a = start(Kind.CALL, like.threads(), flights, "a", GatedWork.returning(1));
    Caller b = start(Kind.SUBMIT, like.threads(), flights, "b", GatedWork.returning(2));
    awaitCallers(flights, before + 4);
    aheadsWork.returns("ahead");
    assertThat(got(performing)).isSameAs(thread);
    thread.interrupt();
    assertThat(a.value()).isEqualTo(1);
    assertThat(b.value()).isEqualTo(2);
    assertThatThrownBy(() -> got(batch)).hasCauseInstanceOf(InterruptedException.class);
  }

  /** In NEXT a batch leads at once only what is not in flight: the rest it performs in its turn. */
  @ParameterizedTest
  @MethodSource(Case.MODES)
  void callAll_inNext_performsWhatWasInFlightWhenItsTurnComes(Case like) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(Freshness.NEXT));
    GatedWork running = gated();
    Caller ahead = start(Kind.CALL, like.threads(), flights, "running", running);
    running.awaitBegun();
    Queue<Set<Object>> asked = new ConcurrentLinkedQueue<>();
    FutureTask<Map<Object, Object>> batch =
        new FutureTask<>(() ->
            flights.callAll(
                List.of("running", "free"),
                keys -> {
                  asked.add(Set.copyOf(keys));
                  return keys.contains("free") ? Map.of("free", 1) : Map.of();
                }));
    Thread thread = like.threads().start(batch);
    await(() -> asked.size() == 1);
    awaitCallers(flights, 2);
    await(() -> thread.getState() == Thread.State.WAITING);
    List<Caller> sharing = new ArrayList<>();
    for (Kind kind : Kind.values()) {
      sharing.add(start(kind, like.threads(), flights, "running", gated()));
      awaitCallers(flights, 2 + sharing.size());
    }
    running.returns("stale");
    assertThat(ahead.value()).isEqualTo("stale");
    for (Caller caller : sharing) {
      assertThat(caller.value()).as("absent from the batch").isNull();
    }
    assertThat(got(batch)).containsExactly(Map.entry("free", 1));
    assertThat(asked).containsExactly(Set.of("free"), Set.of("running"));
  }

  /** The key is compared once when the batch looks it up, and again when it is registered. */
  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void callAll_laterKeyThrowsAtItsRegistration_keepsNoEarlierOne(Case like) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(like.freshness()));
    GatedWork joined = gated();
    Caller leader = start(Kind.CALL, like.threads(), flights, "joined", joined);
    start(Kind.CALL, like.threads(), flights, new LockContract.Colliding("other"), joined);
    awaitCallers(flights, 2);
    List<Caller> joiners = new ArrayList<>();
    AtomicInteger comparisons = new AtomicInteger();
    GatedWork own = GatedWork.returning("by the joiner");
    class Evil {
      @Override
      public int hashCode() {
        return 1;
      }

      @Override
      public boolean equals(Object other) {
        if (comparisons.incrementAndGet() == 1) {
          return false;
        }
        joiners.add(start(like.leader(), like.threads(), flights, "led", own));
        awaitCallers(flights, 6);
        throw new UnsupportedOperationException("equals");
      }
    }
    Future<Map<Object, Object>> batch =
        on(
            like.threads(),
            () ->
                flights.callAll(
                    List.of("alone", "led", "joined", new Evil()),
                    keys -> {
                      throw new AssertionError("its keys are not all registered");
                    }));
    assertThatThrownBy(() -> got(batch))
        .hasCauseInstanceOf(UnsupportedOperationException.class)
        .hasRootCauseMessage("equals");
    assertThat(joiners).hasSize(1);
    assertThat(joiners.get(0).value()).isEqualTo("by the joiner");
    assertThat(own.executions()).isEqualTo(1);
    awaitCallers(flights, 2);
    assertThat(flights.call("alone", key -> "anew")).isEqualTo("anew");
    joined.returns("joined");
    assertThat(leader.value()).isEqualTo("joined");
  }
}
