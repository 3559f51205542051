package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.awaitility.core.ThrowingRunnable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** P9: nothing left behind. */
public abstract class LeftoversContract extends Contract {

  static final class Mutable {
    volatile int hash = 1;

    @Override
    public int hashCode() {
      return hash;
    }

    @Override
    public boolean equals(Object other) {
      return this == other;
    }
  }

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void key_whoseHashCodeChangedInFlight_leavesNothing(Case like) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(like.freshness()));
    Mutable key = new Mutable();
    GatedWork work = gated();
    Caller leader = start(like.leader(), like.threads(), flights, key, work);
    work.awaitBegun();
    key.hash = 77;
    work.returns("landed");
    assertThat(leader.value()).isEqualTo("landed");
    assertThat(flights.inFlight()).isEmpty();
    assertThat(
            start(like.follower(), like.threads(), flights, key, GatedWork.returning("anew"))
                .value())
        .isEqualTo("anew");
  }

  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void keysValuesAndWorks_ofEndedFlights_areCollected(Case like) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(like.freshness()));
    List<WeakReference<Object>> references = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      land(like, flights, i, references);
    }
    await(() -> {
      System.gc();
      return references.stream().allMatch(reference -> reference.get() == null);
    });
    assertThat(flights.inFlight()).isEmpty();
  }

  private static void land(
      Case like,
      SingleFlight<Object, Object> flights,
      int how,
      List<WeakReference<Object>> references)
      throws Exception {
    Object key = new Object();
    Object value = new Object();
    GatedWork work = GatedWork.gated();
    Caller leader = Caller.start(like.leader(), like.threads(), flights, key, work);
    work.awaitBegun();
    references.add(new WeakReference<>(key));
    references.add(new WeakReference<>(value));
    references.add(new WeakReference<>(work));
    switch (how) {
      case 0 -> work.returns(value);
      case 1 -> work.fails(new Exception());
      case 2 -> flights.forget(key);
      default -> leader.leave();
    }
    work.returns(value);
    leader.end();
    awaitThat(() -> assertThat(flights.inFlight()).isEmpty());
  }

  /** The mechanism: a flight holds on to its successor, that to its own, and so on for ever. */
  @ParameterizedTest
  @MethodSource("io.singleflight.contract.LeftoversContract#stuck")
  void flightsAfterAStuckOne_areCollected(Case like, boolean forgotten) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(Freshness.NEXT));
    GatedWork stuck = stubborn();
    Caller leader = start(like.leader(), like.threads(), flights, stuck);
    stuck.awaitBegun();
    List<WeakReference<Object>> references = new ArrayList<>();
    landBehind(
        like,
        flights,
        references,
        () -> {
          if (forgotten) {
            assertThat(flights.forget(KEY)).isTrue();
          } else {
            leader.leave();
            leader.failure();
          }
        });
    landBehind(like, flights, references, () -> {});
    await(() -> {
      System.gc();
      return references.stream().allMatch(reference -> reference.get() == null);
    });
    assertThat(stuck.executions()).isEqualTo(1);
    stuck.returns("at last");
    leader.end();
  }

  static Stream<Arguments> stuck() {
    return Case.leaders()
        .filter(like -> like.freshness() == Freshness.NEXT)
        .flatMap(like ->
            Stream.of(true, false)
                .filter(forgotten -> forgotten || like.leader().canLeaveAsLeader())
                .map(forgotten -> Arguments.of(like, forgotten)));
  }

  private static void landBehind(
      Case like,
      SingleFlight<Object, Object> flights,
      List<WeakReference<Object>> references,
      ThrowingRunnable meanwhile)
      throws Exception {
    Object value = new Object();
    GatedWork work = GatedWork.gated();
    references.add(new WeakReference<>(value));
    references.add(new WeakReference<>(work));
    int before = callers(flights);
    Caller behind = Caller.start(like.follower(), like.threads(), flights, KEY, work);
    awaitCallers(flights, before + 1);
    try {
      meanwhile.run();
    } catch (Throwable failure) {
      throw GatedWork.<RuntimeException>sneaky(failure);
    }
    work.awaitBegun();
    work.returns(value);
    assertThat(behind.value()).isSameAs(value);
    awaitThat(() -> assertThat(flights.inFlight()).isEmpty());
  }
}
