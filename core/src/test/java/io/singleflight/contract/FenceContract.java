package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** P10: the fence. */
public abstract class FenceContract extends Contract {

  /** The mechanism: removal by key, so that an old flight evicts its successor. */
  @ParameterizedTest
  @MethodSource(Case.ALL)
  void forget_aFlight_isJoinedByNobodyAndEvictsNoSuccessor(Case like) throws Exception {
    Scene scene = new Scene(like, 2, gated());
    assertThat(scene.flights.forget(KEY)).isTrue();
    assertThat(scene.flights.inFlight()).isEmpty();
    assertThat(scene.flights.forget(KEY)).isFalse();

    GatedWork later = gated();
    Caller successor = start(like.leader(), like.threads(), scene.flights, later);
    later.awaitBegun();
    awaitCallers(scene.flights, 1);
    scene.leadersWork.returns("before");
    assertThat(scene.leader.value()).isEqualTo("before");
    for (Caller follower : scene.followers) {
      assertThat(follower.value()).isEqualTo("before");
    }
    assertThat(callers(scene.flights)).isEqualTo(1);
    if (like.freshness() == Freshness.RUNNING) {
      Caller joiner = start(like.follower(), like.threads(), scene.flights, gated());
      awaitCallers(scene.flights, 2);
      later.returns("after");
      assertThat(joiner.value()).isEqualTo("after");
    }
    later.returns("after");
    assertThat(successor.value()).isEqualTo("after");
  }

  @ParameterizedTest
  @MethodSource(Case.NEXT)
  void forget_inNext_detachesTheWaitingFlightWhichBeginsAtOnce(Case like) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.freshness(Freshness.NEXT));
    GatedWork running = gated();
    Caller ahead = start(like.leader(), like.threads(), flights, running);
    running.awaitBegun();
    GatedWork waiting = gated();
    Caller behind = start(like.follower(), like.threads(), flights, waiting);
    awaitCallers(flights, 2);
    assertThat(flights.forget(KEY)).isTrue();
    assertThat(flights.inFlight()).isEmpty();
    waiting.awaitBegun();
    assertThat(start(like.follower(), like.threads(), flights, GatedWork.returning(3)).value())
        .isEqualTo(3);
    waiting.returns(2);
    assertThat(behind.value()).isEqualTo(2);
    running.returns(1);
    assertThat(ahead.value()).isEqualTo(1);
  }

  @Test
  void forget_unknownKey_isFalse() {
    assertThat(instance().forget(KEY)).isFalse();
  }
}
