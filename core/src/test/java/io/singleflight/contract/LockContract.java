package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.FlightDeadlockException;
import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import io.singleflight.TooManyFollowersException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** P8: no user code under a lock. Whatever user code blocks in or throws, others go on. */
public abstract class LockContract extends Contract {

  /** All keys share one slot of any hash table. */
  record Colliding(String name) {
    @Override
    public int hashCode() {
      return 1;
    }
  }

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void work_thatBlocks_holdsUpNoOtherKeyOfTheSameHash(Case like) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(like.freshness()));
    GatedWork stuck = gated();
    Caller leader = start(like.leader(), like.threads(), flights, new Colliding("a"), stuck);
    stuck.awaitBegun();
    for (String other : List.of("b", "c")) {
      assertThat(
              start(
                      like.follower(),
                      like.threads(),
                      flights,
                      new Colliding(other),
                      GatedWork.returning(other))
                  .value())
          .isEqualTo(other);
    }
    stuck.returns("a");
    assertThat(leader.value()).isEqualTo("a");
  }

  // Listeners that are held up

  private final HeldListener listener = new HeldListener();
  private final ExecutorService others = threads();

  @AfterEach
  void releaseWhoIsHeldUp() {
    listener.release();
    heldUp.release();
  }

  private Scene sceneWithListener(Case like, int followers) throws Exception {
    return new Scene(like, followers, gated(), options -> options.listener(listener));
  }

  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void started_thatBlocks_holdsUpNobodyButItsCaller(Case like) throws Exception {
    SingleFlight<Object, Object> flights =
        instance(options -> options.freshness(like.freshness()).listener(listener));
    GatedWork running = gated();
    Caller ahead = null;
    if (like.freshness() == Freshness.NEXT) {
      ahead = start(Kind.CALL, Threads.PLATFORM, flights, running);
      running.awaitBegun();
    }
    listener.holdUpNext(HeldListener.Event.STARTED);
    Caller held = start(like.leader(), like.threads(), flights, GatedWork.returning("held"));
    listener.awaitHeld();
    othersComeAndGo(like, flights);
    forgetLetsNewcomersStart(like, flights);
    running.returns("ahead");
    if (ahead != null) {
      assertThat(ahead.value()).isEqualTo("ahead");
    }
    assertThat(held.hasEnded()).isFalse();
    listener.release();
    assertThat(held.value()).isEqualTo("held");
  }

  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void joined_thatBlocks_holdsUpNobodyButItsCaller(Case like) throws Exception {
    SingleFlight<Object, Object> flights =
        instance(options -> options.freshness(like.freshness()).listener(listener));
    GatedWork aheadsWork = gated();
    int before = 0;
    if (like.freshness() == Freshness.NEXT) {
      start(Kind.CALL, Threads.PLATFORM, flights, aheadsWork);
      aheadsWork.awaitBegun();
      before = 1;
    }
    GatedWork work = gated();
    Caller leader = start(like.leader(), like.threads(), flights, work);
    awaitCallers(flights, before + 1);
    leader.awaitParked();
    listener.holdUpNext(HeldListener.Event.JOINED);
    Caller held = start(like.follower(), like.threads(), flights, gated());
    listener.awaitHeld();
    othersComeAndGo(like, flights);
    Caller other = start(like.follower(), like.threads(), flights, gated());
    awaitCallers(flights, before + 3);
    forgetLetsNewcomersStart(like, flights);
    work.awaitBegun();
    work.returns("landed");
    assertThat(leader.value()).isEqualTo("landed");
    assertThat(other.value()).isEqualTo("landed");
    assertThat(held.hasEnded()).isFalse();
    listener.release();
    assertThat(held.value()).isEqualTo("landed");
  }

  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void left_thatBlocks_holdsUpNobodyButItsCaller(Case like) throws Exception {
    Scene scene = sceneWithListener(like, 3);
    listener.holdUpNext(HeldListener.Event.LEFT);
    Caller held = scene.followers.remove(1);
    held.awaitParked();
    onAnotherThread(() -> {
      held.leave();
      return null;
    });
    listener.awaitHeld();
    othersComeAndGo(like, scene.flights);
    awaitCallers(scene.flights, 3);
    forgetLetsNewcomersStart(like, scene.flights);
    scene.leadersWork.returns("landed");
    assertThat(scene.leader.value()).isEqualTo("landed");
    assertAllGet(scene.followers, "landed");
    assertThat(held.hasEnded()).isFalse();
    listener.release();
    held.failure();
  }

  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void handedOff_thatBlocks_holdsUpNobodyButItsCaller(Case like) throws Exception {
    Scene scene = sceneWithListener(like, 2);
    listener.holdUpNext(HeldListener.Event.HANDED_OFF);
    InterruptedException own = new InterruptedException("the leader's own");
    onAnotherThread(() -> {
      scene.leadersWork.fails(own);
      return null;
    });
    listener.awaitHeld();
    awaitThat(() -> assertThat(scene.followersExecutions()).isEqualTo(1));
    othersComeAndGo(like, scene.flights);
    forgetLetsNewcomersStart(like, scene.flights);
    scene.followersWouldReturn("handed off");
    assertAllGet(scene.followers, "handed off");
    listener.release();
    assertThat(scene.leader.failure()).isSameAs(own);
  }

  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void ended_thatBlocks_holdsUpNobodyButItsCaller(Case like) throws Exception {
    Scene scene = sceneWithListener(like, 2);
    listener.holdUpNext(HeldListener.Event.ENDED);
    onAnotherThread(() -> {
      scene.leadersWork.returns("landed");
      return null;
    });
    listener.awaitHeld();
    assertAllGet(scene.followers, "landed");
    othersComeAndGo(like, scene.flights);
    forgetLetsNewcomersStart(like, scene.flights);
    listener.release();
    assertThat(scene.leader.value()).isEqualTo("landed");
  }

  // Executors, predicates and texts that are held up

  private final HeldUp heldUp = new HeldUp();

  /** The work of a caller that leads at once, or of one whose turn has come. */
  @ParameterizedTest
  @MethodSource("io.singleflight.contract.LockContract#onTheExecutor")
  void executor_thatBlocksWithAWork_holdsUpNobodyButItsCaller(Case like) throws Exception {
    ExecutorService executor = threads();
    SingleFlight<Object, Object> flights =
        instance(options ->
            options
                .freshness(like.freshness())
                .executor(task -> {
                  heldUp.pass();
                  executor.execute(task);
                }));
    GatedWork aheadsWork = gated();
    if (like.freshness() == Freshness.NEXT) {
      start(Kind.CALL, Threads.PLATFORM, flights, aheadsWork);
      aheadsWork.awaitBegun();
    } else {
      heldUp.arm();
    }
    Caller held = start(like.leader(), like.threads(), flights, GatedWork.returning("held"));
    if (like.freshness() == Freshness.NEXT) {
      awaitCallers(flights, 2);
      heldUp.arm();
      aheadsWork.returns("ahead");
    }
    heldUp.awaitHeld();
    othersComeAndGo(like, flights);
    forgetLetsNewcomersStart(like, flights);
    assertThat(held.hasEnded()).isFalse();
    heldUp.release();
    assertThat(held.value()).isEqualTo("held");
  }

  static Stream<Case> onTheExecutor() {
    return Case.leaders()
        .filter(like -> like.leader() == Kind.SUBMIT || like.leader() == Kind.TIMED_CALL);
  }

  /** A follower that leaves meanwhile is too late; and it too returns. */
  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void executor_thatBlocksWithAFuture_holdsUpNobodyButItsCaller(Case like) throws Exception {
    ExecutorService executor = threads();
    Scene scene =
        new Scene(
            new Case(like.leader(), Kind.SUBMIT, like.freshness(), like.threads()),
            2,
            gated(),
            options ->
                options.executor(task -> {
                  heldUp.pass();
                  executor.execute(task);
                }));
    heldUp.arm();
    onAnotherThread(() -> {
      scene.leadersWork.returns("landed");
      return null;
    });
    heldUp.awaitHeld();
    got(onAnotherThread(() -> scene.followers.get(0).future().cancel(true)));
    othersComeAndGo(like, scene.flights);
    forgetLetsNewcomersStart(like, scene.flights);
    heldUp.release();
    assertThat(scene.leader.value()).isEqualTo("landed");
    assertThat(scene.followers.get(1).value()).isEqualTo("landed");
  }

  /** Threads may have an interrupt of their own, and so may what they wait in. */
  @ParameterizedTest
  @EnumSource
  void interrupt_thatBlocks_holdsUpNobodyButItsCaller(Freshness freshness) throws Exception {
    class Slow extends Thread {
      Slow(Runnable task) {
        super(task);
        setDaemon(true);
      }

      @Override
      public void interrupt() {
        heldUp.pass();
        super.interrupt();
      }
    }
    SingleFlight<Object, Object> flights =
        instance(options -> options.freshness(freshness).executor(task -> new Slow(task).start()));
    GatedWork abandoned = gated();
    Caller leaver = start(Kind.SUBMIT, Threads.PLATFORM, flights, abandoned);
    abandoned.awaitBegun();
    Caller behind = null;
    if (freshness == Freshness.NEXT) {
      behind = start(Kind.SUBMIT, Threads.PLATFORM, flights, GatedWork.returning("behind"));
      awaitCallers(flights, 2);
    }
    heldUp.arm();
    onAnotherThread(() -> leaver.future().cancel(true));
    heldUp.awaitHeld();
    if (behind != null) {
      assertThat(behind.value()).isEqualTo("behind");
    }
    for (Kind kind : Kind.values()) {
      assertThat(start(kind, Threads.PLATFORM, flights, GatedWork.returning("fresh")).value())
          .isEqualTo("fresh");
    }
    assertThat(got(onAnotherThread(() -> callers(flights)))).isZero();
  }

  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void handOffOn_predicateThatBlocks_holdsUpNobodyButItsCaller(Case like) throws Exception {
    Scene scene =
        new Scene(
            like,
            2,
            gated(),
            options ->
                options.handOffOn(failure -> {
                  heldUp.pass();
                  return false;
                }));
    Exception failure = new Exception("the key's");
    heldUp.arm();
    onAnotherThread(() -> {
      scene.leadersWork.fails(failure);
      return null;
    });
    heldUp.awaitHeld();
    othersComeAndGo(like, scene.flights);
    forgetLetsNewcomersStart(like, scene.flights);
    assertThat(scene.leader.hasEnded()).isFalse();
    heldUp.release();
    assertThat(scene.leader.failure()).isSameAs(failure);
    for (Caller follower : scene.followers) {
      assertThat(follower.failure()).isSameAs(failure);
    }
  }

  /** Why a call fails with a message that names the key. */
  enum Refusal {
    FULL(TooManyFollowersException.class),
    TIMED_OUT(TimeoutException.class),
    NO_TIME(TimeoutException.class),
    INTERRUPTED(InterruptedException.class),
    ITS_OWN(FlightDeadlockException.class),
    IN_A_CYCLE(FlightDeadlockException.class);

    final Class<? extends Throwable> type;

    Refusal(Class<? extends Throwable> type) {
      this.type = type;
    }
  }

  /** A flight of this key, one of whose callers is refused. */
  private final class Refused {
    final SingleFlight<Object, Object> flights =
        instance(options -> options.maxFollowers(2).name("orders"));
    final GatedWork work = gated();
    final Future<Object> leader;
    final Caller follower;
    final Future<Object> refused;

    Refused(Refusal why, Object key) throws Exception {
      CountDownLatch go = new CountDownLatch(1);
      CompletableFuture<Object> own = new CompletableFuture<>();
      leader =
          on(
              Threads.PLATFORM,
              () ->
                  flights.call(
                      key,
                      k -> {
                        if (why == Refusal.ITS_OWN || why == Refusal.IN_A_CYCLE) {
                          go.await();
                          try {
                            own.complete(asksAgain(why, key));
                          } catch (Exception failure) {
                            own.completeExceptionally(failure);
                          }
                        }
                        return work.perform(key);
                      }));
      awaitCallers(flights, 1);
      follower = start(Kind.CALL, Threads.PLATFORM, flights, key, gated());
      awaitCallers(flights, 2);
      follower.awaitParked();
      switch (why) {
        case FULL -> {
          start(Kind.SUBMIT, Threads.PLATFORM, flights, key, gated());
          awaitCallers(flights, 3);
          refused = on(Threads.PLATFORM, () -> flights.call(key, k -> "performed"));
        }
        case TIMED_OUT ->
            refused =
                on(
                    Threads.PLATFORM,
                    () -> flights.call(key, Duration.ofMillis(1), k -> "performed"));
        case NO_TIME ->
            refused =
                on(Threads.PLATFORM, () -> flights.call(key, Duration.ZERO, k -> "performed"));
        case INTERRUPTED -> {
          CompletableFuture<Thread> thread = new CompletableFuture<>();
          refused =
              on(
                  Threads.PLATFORM,
                  () -> {
                    thread.complete(Thread.currentThread());
                    return flights.call(key, k -> "performed");
                  });
          awaitCallers(flights, 3);
          thread.get().interrupt();
        }
        case ITS_OWN, IN_A_CYCLE -> {
          refused = own;
          go.countDown();
        }
        default -> throw new AssertionError(why);
      }
    }

    private Object asksAgain(Refusal why, Object key) throws Exception {
      return why == Refusal.ITS_OWN
          ? flights.call(key, k -> "performed")
          : flights.call(
              "through another thread",
              Duration.ofHours(1),
              other -> flights.call(key, k -> "performed"));
    }

    Throwable failure() {
      return org.assertj.core.api.Assertions.catchThrowable(() -> got(refused)).getCause();
    }
  }

  @ParameterizedTest
  @EnumSource(Refusal.class)
  void toString_thatBlocks_holdsUpNobodyButItsCaller(Refusal why) throws Exception {
    class Slow {
      @Override
      public String toString() {
        heldUp.pass();
        return "slow";
      }
    }
    Slow key = new Slow();
    heldUp.arm();
    Refused scene = new Refused(why, key);
    heldUp.awaitHeld();
    got(onAnotherThread(() -> callers(scene.flights)));
    scene.follower.leave();
    assertThat(scene.follower.failure()).isInstanceOf(InterruptedException.class);
    Caller another = start(Kind.CALL, Threads.PLATFORM, scene.flights, key, gated());
    another.awaitParked();
    another.leave();
    another.failure();
    assertThat(got(onAnotherThread(() -> scene.flights.forget(key)))).isTrue();
    for (Kind kind : Kind.values()) {
      assertThat(
              start(kind, Threads.PLATFORM, scene.flights, key, GatedWork.returning("fresh"))
                  .value())
          .isEqualTo("fresh");
    }
    scene.work.returns("landed");
    heldUp.release();
    assertThat(scene.failure()).isInstanceOf(why.type).hasMessageContaining("slow");
    assertThat(got(scene.leader)).isEqualTo("landed");
  }

  @ParameterizedTest
  @EnumSource(Refusal.class)
  void toString_thatThrows_isReplacedByTheNameOfItsClass(Refusal why) throws Exception {
    class Nameless {
      @Override
      public String toString() {
        throw new UnsupportedOperationException("toString");
      }
    }
    Nameless key = new Nameless();
    Refused scene = new Refused(why, key);
    assertThat(scene.failure())
        .isInstanceOf(why.type)
        .hasMessageContaining("the flight of key " + Nameless.class.getName() + " of orders");
    scene.work.returns("landed");
    assertThat(got(scene.leader)).isEqualTo("landed");
    assertThat(scene.follower.value()).isEqualTo("landed");
  }

  /**
   * A caller of each kind asks for the key of the held-up flight and leaves; others ask for more.
   */
  private void othersComeAndGo(Case like, SingleFlight<Object, Object> flights) throws Exception {
    assertThat(onAnotherThread(() -> callers(flights)).get(PATIENCE.toSeconds(), TimeUnit.SECONDS))
        .isNotNegative();
    record SameHash(Kind kind) {
      @Override
      public int hashCode() {
        return KEY.hashCode();
      }
    }
    for (Kind kind : Kind.values()) {
      Caller ofAnotherKey =
          start(kind, like.threads(), flights, new SameHash(kind), GatedWork.returning(kind));
      assertThat(ofAnotherKey.value()).isEqualTo(kind);
      Caller leaver = start(kind, like.threads(), flights, gated());
      leaver.awaitParked();
      leaver.leave();
      assertThat(leaver.failure())
          .isInstanceOf(kind.blocks() ? InterruptedException.class : CancellationException.class);
    }
  }

  private void forgetLetsNewcomersStart(Case like, SingleFlight<Object, Object> flights)
      throws Exception {
    onAnotherThread(() -> flights.forget(KEY)).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
    for (Kind kind : Kind.values()) {
      assertThat(start(kind, like.threads(), flights, GatedWork.returning("fresh")).value())
          .isEqualTo("fresh");
    }
  }

  private static void assertAllGet(List<Caller> callers, Object value) throws Exception {
    for (Caller caller : callers) {
      assertThat(caller.value()).isEqualTo(value);
    }
  }

  private <T> Future<T> onAnotherThread(Callable<T> task) {
    return others.submit(task);
  }

  @Test
  void equals_thatBlocks_holdsUpNoOtherCaller() throws Exception {
    CountDownLatch comparing = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    class Slow {
      @Override
      public int hashCode() {
        return 1;
      }

      @Override
      public boolean equals(Object other) {
        comparing.countDown();
        try {
          go.await();
        } catch (InterruptedException ended) {
          throw new IllegalStateException(ended);
        }
        return false;
      }
    }
    SingleFlight<Object, Object> flights = instance();
    GatedWork work = gated();
    Caller leader = start(Kind.CALL, Threads.PLATFORM, flights, new Colliding("a"), work);
    work.awaitBegun();
    Caller slow =
        start(Kind.CALL, Threads.PLATFORM, flights, new Slow(), GatedWork.returning("slow"));
    await(comparing, "the comparison");
    assertThat(
            start(
                    Kind.CALL,
                    Threads.PLATFORM,
                    flights,
                    new Colliding("b"),
                    GatedWork.returning("b"))
                .value())
        .isEqualTo("b");
    work.returns("a");
    assertThat(leader.value()).isEqualTo("a");
    go.countDown();
    assertThat(slow.value()).isEqualTo("slow");
  }

  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void key_thatThrows_registersNothingAndHarmsNobody(Case like) throws Exception {
    AtomicBoolean hashThrows = new AtomicBoolean();
    class Broken {
      @Override
      public int hashCode() {
        if (hashThrows.get()) {
          throw new UnsupportedOperationException("hashCode");
        }
        return 1;
      }

      @Override
      public boolean equals(Object other) {
        throw new UnsupportedOperationException("equals");
      }
    }
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(like.freshness()));
    GatedWork work = gated();
    Caller leader = start(Kind.CALL, Threads.PLATFORM, flights, new Colliding("a"), work);
    work.awaitBegun();
    GatedWork unused = GatedWork.returning(1);
    for (boolean hash : new boolean[] {false, true}) {
      hashThrows.set(hash);
      Broken key = new Broken();
      assertThat(start(like.leader(), like.threads(), flights, key, unused).thrown())
          .isInstanceOf(UnsupportedOperationException.class)
          .hasMessage(hash ? "hashCode" : "equals");
      assertThat(flights.inFlight()).hasSize(1);
    }
    assertThat(unused.executions()).isZero();
    work.returns("a");
    assertThat(leader.value()).isEqualTo("a");
  }

  @Test
  void null_anything_isRefusedBeforeAnythingIsRegistered() {
    SingleFlight<Object, Object> flights = instance();
    assertThatThrownBy(() -> flights.call(null, key -> 1)).isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> flights.call(KEY, null)).isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> flights.call(KEY, (Duration) null, key -> 1))
        .isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> flights.call(KEY, Duration.ZERO, null))
        .isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> flights.submit(null, key -> 1))
        .isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> flights.submit(KEY, null)).isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> flights.callAsync(null, key -> null))
        .isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> flights.callAsync(KEY, null)).isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> flights.callAll(null, keys -> null))
        .isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> flights.callAll(List.of(KEY), null))
        .isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> flights.callAll(java.util.Arrays.asList(KEY, null), keys -> null))
        .isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> flights.forget(null)).isInstanceOf(NullPointerException.class);
    assertThat(flights.inFlight()).isEmpty();
  }
}
