package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.SingleFlight;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
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
}
