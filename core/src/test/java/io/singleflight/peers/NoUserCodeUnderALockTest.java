package io.singleflight.peers;

import static io.singleflight.contract.Contract.callers;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** P8: no user code runs under a lock, in a map's bin, or with a carrier thread pinned. */
class NoUserCodeUnderALockTest extends PeerRegression {

  /** A key whose methods fail on request; all have the same hash code. */
  private record Key(String name, boolean hashFails, boolean equalsFails) {
    @Override
    public int hashCode() {
      if (hashFails) {
        throw new IllegalStateException("hashCode fails");
      }
      return 1;
    }

    @Override
    public boolean equals(Object other) {
      if (equalsFails) {
        throw new IllegalStateException("equals fails");
      }
      return other instanceof Key key && key.name.equals(name);
    }
  }

  /**
   * The map was read under the group's mutex, and a key that cannot be hashed panicked there: the
   * mutex stayed locked, and every call for every key hung. Found in golang.org/x/sync and
   * smallstep/singleflight.
   */
  @Test
  void call_keyThrows_wedgesNoOtherKey() throws Exception {
    SingleFlight<Key, Integer> flights = SingleFlight.create();
    Key good = new Key("good", false, false);
    CompletableFuture<Integer> stage = new CompletableFuture<>();
    CompletableFuture<Integer> inTheSameBin = flights.callAsync(good, key -> stage);
    for (Key bad : List.of(new Key("bad", true, false), new Key("bad", false, true))) {
      assertThatThrownBy(() -> flights.call(bad, key -> count()))
          .isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> flights.call(bad, Call.A_DAY, key -> count()))
          .isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> flights.submit(bad, key -> count()))
          .isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> flights.callAsync(bad, key -> stage))
          .isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> flights.callAll(List.of(bad), keys -> Map.of()))
          .isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> flights.forget(bad)).isInstanceOf(IllegalStateException.class);
    }
    Call.awaitAboard(flights, 1);
    Call other = Call.onThread(() -> flights.call(new Key("other", false, false), key -> count()));
    assertThat(other.value()).isEqualTo(1);
    stage.complete(7);
    assertThat(inTheSameBin.get()).isEqualTo(7);
    assertThat(flights.inFlight()).isEmpty();
  }

  /**
   * A landing flight sent its result to each caller in turn and waited for it to be taken, with the
   * group's lock held: one caller that had gone, or was slow, blocked the group. Found in
   * singleflightx.
   */
  @ParameterizedTest
  @EnumSource
  void submit_receiverIsStuck_blocksNobodyElse(Call.Kind kind) throws Exception {
    Call leader = kind.begin(flights, "a", this::gated);
    begun.await();
    CountDownLatch stuckReceiver = new CountDownLatch(1);
    CountDownLatch never = new CountDownLatch(1);
    CompletableFuture<Void> received =
        flights
            .submit("a", key -> count())
            .thenRun(() -> {
              stuckReceiver.countDown();
              try {
                never.await();
              } catch (InterruptedException e) {
                throw new AssertionError(e);
              }
            });
    Call patient = Call.ofFuture(flights.submit("a", key -> count()));
    gate.countDown();
    stuckReceiver.await();
    assertThat(leader.value()).isEqualTo(1);
    assertThat(patient.value()).isEqualTo(1);
    assertThat(flights.call("a", key -> 7)).isEqualTo(7);
    assertThat(received).isNotDone();
    never.countDown();
    received.get();
  }

  /**
   * Each joiner hung another callback on the work's own future, which stayed there when the joiner
   * left. Found in pulsar#23049.
   */
  @Test
  void callAsync_manyJoiners_addNoCallbackToTheStage() {
    CompletableFuture<Integer> stage = new CompletableFuture<>();
    CompletableFuture<Integer> leader = flights.callAsync("a", key -> stage);
    int dependents = stage.getNumberOfDependents();
    List<CompletableFuture<Integer>> joiners = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      joiners.add(flights.callAsync("a", key -> stage));
    }
    assertThat(stage.getNumberOfDependents()).isEqualTo(dependents).isEqualTo(1);
    joiners.forEach(joiner -> joiner.cancel(true));
    Call.awaitAboard(flights, 1);
    stage.complete(7);
    assertThat(leader).isCompletedWithValue(7);
  }

  /**
   * The work ran inside {@code ConcurrentHashMap.computeIfAbsent}, which locks the bin: callers of
   * other keys with a hash code of the same bin waited for it. Found in caffeine#1825, caffeine#779
   * and guava#6845.
   */
  @ParameterizedTest
  @EnumSource
  void call_slowWorkForACollidingKey_isNotWaitedFor(Call.Kind kind) throws Exception {
    assertThat("AaAa").hasSameHashCodeAs("BBBB");
    Call slow = kind.begin(flights, "AaAa", this::gated);
    begun.await();
    assertThat(kind.begin(flights, "BBBB", () -> 7).value()).isEqualTo(7);
    assertThat(kind.begin(flights, "AaBB", () -> 8).value()).isEqualTo(8);
    assertThat(gate.getCount()).as("the slow work still executes").isOne();
    gate.countDown();
    assertThat(slow.value()).isEqualTo(1);
  }

  private static final CompletableFuture<Thread> PINNED = new CompletableFuture<>();
  private static final CountDownLatch UNPIN = new CountDownLatch(1);

  /** Blocks in its initializer, where a virtual thread can't leave its carrier. */
  private static final class Pinning {
    static {
      PINNED.complete(Thread.currentThread());
      try {
        UNPIN.await();
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }

    private Pinning() {}

    static int touch() {
      return 1;
    }
  }

  /**
   * Waiters parked inside the map's bin, with a monitor held, and a virtual thread that does so
   * keeps its carrier: a few waiters stopped all virtual threads. The recording that must show no
   * pinned waiter must show the one that is pinned on purpose. Found in caffeine#1825.
   */
  @Test
  @EnabledForJreRange(min = JRE.JAVA_21, disabledReason = "there are no virtual threads before")
  void call_followersOnVirtualThreads_pinNoCarrier(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("pinned.jfr");
    ExecutorService virtualThreads = virtualThreads();
    // Loading a class may pin too, which is the JVM's own; so all is loaded before the recording.
    followOn(virtualThreads);
    List<Long> followers;
    long canary;
    try (Recording recording = new Recording()) {
      recording.enable("jdk.VirtualThreadPinned").withThreshold(Duration.ZERO);
      recording.start();
      followers = followOn(virtualThreads);
      Future<Long> onPurpose = virtualThreads.submit(inThread(Pinning::touch));
      Thread pinned = PINNED.get();
      Call.soon().until(() -> pinned.getState() == Thread.State.WAITING);
      UNPIN.countDown();
      canary = onPurpose.get();
      recording.stop();
      recording.dump(file);
    }
    List<RecordedEvent> pinned =
        RecordingFile.readAllEvents(file).stream()
            .filter(event -> event.getEventType().getName().equals("jdk.VirtualThreadPinned"))
            .toList();
    assertThat(pinned).anyMatch(event -> threadOf(event) == canary);
    assertThat(pinned).noneMatch(event -> followers.contains(threadOf(event)));
  }

  /** Has callers of all blocking kinds wait for a flight; returns the ids of their threads. */
  private static List<Long> followOn(ExecutorService threads) throws Exception {
    List<Long> followers = new ArrayList<>();
    for (Freshness freshness : Freshness.values()) {
      SingleFlight<String, Integer> flights =
          SingleFlight.<String, Integer>builder().freshness(freshness).build();
      CompletableFuture<Integer> stage = new CompletableFuture<>();
      CompletableFuture<Integer> leader = flights.callAsync("a", key -> stage);
      List<Future<Long>> calls = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        calls.add(threads.submit(inThread(() -> flights.call("a", key -> 1))));
        calls.add(threads.submit(inThread(() -> flights.call("a", Call.A_DAY, key -> 1))));
        calls.add(threads.submit(inThread(() -> flights.callAll(Set.of("a"), keys -> Map.of()))));
      }
      Call.soon().until(() -> callers(flights) == 25);
      stage.complete(1);
      leader.get();
      for (Future<Long> call : calls) {
        followers.add(call.get());
      }
    }
    return followers;
  }

  private static Callable<Long> inThread(Callable<?> call) {
    return () -> {
      call.call();
      return Thread.currentThread().getId();
    };
  }

  private static long threadOf(RecordedEvent event) {
    return event.getThread().getJavaThreadId();
  }

  /* Tests are compiled for Java 17. */
  private static ExecutorService virtualThreads() throws ReflectiveOperationException {
    return (ExecutorService)
        Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
  }
}
