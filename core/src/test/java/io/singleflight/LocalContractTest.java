package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.contract.CallAllContract;
import io.singleflight.contract.DeadlockContract;
import io.singleflight.contract.FailureContract;
import io.singleflight.contract.FenceContract;
import io.singleflight.contract.IsolationContract;
import io.singleflight.contract.LandingContract;
import io.singleflight.contract.LeftoversContract;
import io.singleflight.contract.ListenerContract;
import io.singleflight.contract.LockContract;
import io.singleflight.contract.NextContract;
import io.singleflight.contract.OptionsContract;
import io.singleflight.contract.SingleFlightFactory;
import io.singleflight.contract.Threads;
import io.singleflight.contract.WakingContract;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Holds the implementation within a JVM to the contract. */
class LocalContractTest {

  interface Local extends SingleFlightFactory {
    @Override
    default <K, V> SingleFlight<K, V> create(Consumer<SingleFlight.Builder<K, V>> options) {
      SingleFlight.Builder<K, V> builder = SingleFlight.builder();
      options.accept(builder);
      return builder.build();
    }
  }

  @Nested
  class Landing extends LandingContract implements Local {}

  @Nested
  class Isolation extends IsolationContract implements Local {}

  @Nested
  class Failure extends FailureContract implements Local {}

  @Nested
  class Deadlock extends DeadlockContract implements Local {}

  @Nested
  class Lock extends LockContract implements Local {}

  @Nested
  class Waking extends WakingContract implements Local {}

  @Nested
  class Leftovers extends LeftoversContract implements Local {}

  @Nested
  class Fence extends FenceContract implements Local {}

  @Nested
  class Next extends NextContract implements Local {}

  @Nested
  class CallAll extends CallAllContract implements Local {}

  @Nested
  class Options extends OptionsContract implements Local {}

  @Nested
  class Listener extends ListenerContract implements Local {}

  @Test
  void maxJoinAge_exceeded_startsANewFlightAndTheOldOneGoesOn() throws Exception {
    AtomicLong clock = new AtomicLong(Long.MAX_VALUE - 3);
    SingleFlight<String, Integer> flights =
        SingleFlight.<String, Integer>builder().maxJoinAge(Duration.ofNanos(10)).build(clock::get);
    CompletableFuture<Integer> stuck = new CompletableFuture<>();
    CompletableFuture<Integer> first = flights.callAsync("a", key -> stuck);
    clock.addAndGet(10);
    CompletableFuture<Integer> joiner = flights.submit("a", key -> -1);
    assertThat(flights.inFlight())
        .containsExactly(
            new InFlight<>(
                "a",
                Duration.ofNanos(10),
                2,
                Thread.currentThread().getName(),
                InFlight.State.RUNNING));
    clock.incrementAndGet();
    CompletableFuture<Integer> pending = new CompletableFuture<>();
    CompletableFuture<Integer> second = flights.callAsync("a", key -> pending);
    assertThat(flights.inFlight()).singleElement().extracting(InFlight::callers).isEqualTo(1);
    stuck.complete(1);
    assertThat(first.get()).isEqualTo(1);
    assertThat(joiner.get()).isEqualTo(1);
    assertThat(flights.inFlight()).hasSize(1);
    pending.complete(2);
    assertThat(second.get()).isEqualTo(2);
    assertThat(flights.inFlight()).isEmpty();
  }

  /**
   * A call that looks the key up before {@code forget}, and has no seat yet when that returns,
   * finds the flight closed; in {@code NEXT} nobody waits behind a flight that is forgotten, maybe
   * stuck.
   */
  @ParameterizedTest
  @EnumSource
  void forget_whileACallLooksItsKeyUp_closesTheFlightToIt(Freshness freshness) throws Exception {
    SingleFlight<Object, Integer> flights =
        SingleFlight.<Object, Integer>builder()
            .freshness(freshness)
            .executor(Runnable::run)
            .build();
    CompletableFuture<Integer> stuck = new CompletableFuture<>();
    CompletableFuture<Integer> old = flights.callAsync("a", key -> stuck);
    Object sameKey = new WatchedKey("a", () -> flights.forget("a"));
    assertThat(flights.submit(sameKey, key -> 2)).isCompletedWithValue(2);
    assertThat(flights.inFlight()).isEmpty();
    stuck.complete(1);
    assertThat(old.get()).isEqualTo(1);
  }

  /** An {@code Error} may have come between the end of a line and its removal from the table. */
  @ParameterizedTest
  @ValueSource(strings = {"PT0.000000001S", "PT24H"})
  void call_findsAClosedLineInTheTable_helpsItOut(Duration maxJoinAge) throws Exception {
    LocalSingleFlight<String, Integer> flights =
        (LocalSingleFlight<String, Integer>)
            SingleFlight.<String, Integer>builder().maxJoinAge(maxJoinAge).build();
    Line<String, Integer> line =
        new Line<>(flights, "a", "a".hashCode(), flights.now(), Seat.<String, Integer>ofThread());
    flights.table.insert(line);
    line.close();
    flights.table.insert(line);
    FutureTask<Integer> call = new FutureTask<>(() -> flights.call("a", key -> 1));
    Threads.PLATFORM.start(call);
    assertThat(call.get(20, TimeUnit.SECONDS)).isEqualTo(1);
    assertThat(flights.table.lines()).isEmpty();
  }
}
