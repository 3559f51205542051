package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.FlightListener;
import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** P8: no user code under a lock. Whatever user code blocks in, others go on. */
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

  /**
   * Each callback may use the very key that it is told of, from another thread, and wait for it.
   */
  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void listener_thatWaitsForAnotherThreadsUseOfTheKey_isNotUnderALock(Case like) throws Exception {
    CompletableFuture<SingleFlight<Object, Object>> self = new CompletableFuture<>();
    FlightListener<Object> listener =
        new FlightListener<>() {
          @Override
          public void started(Object key) {
            use(key);
          }

          @Override
          public void joined(Object key, int callers) {
            use(key);
          }

          @Override
          public void left(Object key, Departure departure) {
            use(key);
          }

          @Override
          public void handedOff(Object key, Throwable failure) {
            use(key);
          }

          @Override
          public void ended(Object key, Ending ending, Duration duration, int callers) {
            use(key);
          }

          private void use(Object key) {
            CompletableFuture<Object> used = new CompletableFuture<>();
            Threads.PLATFORM.start(() -> {
              used.complete(self.join().inFlight());
            });
            used.join();
          }
        };
    Scene scene =
        new Scene(
            like,
            3,
            gated(),
            options ->
                options.listener(
                    new FlightListener<Object>() {
                      @Override
                      public void joined(Object key, int callers) {
                        if (self.isDone()) {
                          listener.joined(key, callers);
                        }
                      }

                      @Override
                      public void left(Object key, Departure departure) {
                        listener.left(key, departure);
                      }

                      @Override
                      public void handedOff(Object key, Throwable failure) {
                        listener.handedOff(key, failure);
                      }

                      @Override
                      public void ended(Object key, Ending ending, Duration duration, int callers) {
                        if (self.isDone()) {
                          listener.ended(key, ending, duration, callers);
                        }
                      }
                    }));
    self.complete(scene.flights);
    scene.followers.get(2).leave();
    scene.followers.get(2).failure();
    InterruptedException own = new InterruptedException();
    scene.leadersWork.fails(own);
    assertThat(scene.leader.failure()).isSameAs(own);
    scene.followersWouldReturn("handed off");
    assertThat(scene.followers.get(0).value()).isEqualTo("handed off");
    assertThat(scene.followers.get(1).value()).isEqualTo("handed off");
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
      assertThat(start(like.leader(), like.threads(), flights, key, unused).failure())
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
