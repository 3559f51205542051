package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import io.singleflight.Freshness;
import io.singleflight.InFlight;
import io.singleflight.SingleFlight;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** P3: freshness {@code NEXT}. */
public abstract class NextContract extends Contract {

  private SingleFlight<Object, Object> flights() {
    return instance(options -> options.freshness(Freshness.NEXT));
  }

  @ParameterizedTest
  @MethodSource(Case.NEXT)
  void anyCall_whileOneRuns_sharesTheNext(Case like) throws Exception {
    SingleFlight<Object, Object> flights = flights();
    GatedWork running = gated();
    Caller ahead = start(like.leader(), like.threads(), flights, running);
    running.awaitBegun();
    List<Caller> behind = new ArrayList<>();
    List<GatedWork> works = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      GatedWork work = gated();
      works.add(work);
      behind.add(start(like.follower(), like.threads(), flights, work));
      awaitCallers(flights, 2 + i);
    }
    assertThat(flights.inFlight())
        .extracting(InFlight::state)
        .containsExactlyInAnyOrder(InFlight.State.RUNNING, InFlight.State.WAITING);
    assertThat(works).allMatch(work -> work.executions() == 0);
    running.returns("stale");
    assertThat(ahead.value()).isEqualTo("stale");
    awaitThat(() -> assertThat(works.stream().mapToInt(GatedWork::executions).sum()).isEqualTo(1));
    works.forEach(work -> work.returns("fresh"));
    for (Caller caller : behind) {
      assertThat(caller.value()).isEqualTo("fresh");
    }
    assertThat(works.stream().mapToInt(GatedWork::executions).sum()).isEqualTo(1);
  }

  /** Who comes before the work has begun shares its execution, and lines up behind nobody. */
  @ParameterizedTest
  @EnumSource(Kind.class)
  void anyCall_workHasNotBegun_sharesIt(Kind kind) throws Exception {
    ExecutorService busy = singleThread();
    CountDownLatch mayBegin = new CountDownLatch(1);
    busy.submit(() -> {
      mayBegin.await();
      return null;
    });
    SingleFlight<Object, Object> flights =
        instance(options -> options.freshness(Freshness.NEXT).executor(busy));
    Caller leader = start(Kind.SUBMIT, Threads.PLATFORM, flights, GatedWork.returning("fresh"));
    awaitCallers(flights, 1);
    GatedWork work = gated();
    Caller follower = start(kind, Threads.PLATFORM, flights, work);
    awaitCallers(flights, 2);
    assertThat(flights.inFlight()).hasSize(1);
    mayBegin.countDown();
    assertThat(leader.value()).isEqualTo("fresh");
    assertThat(follower.value()).isEqualTo("fresh");
    assertThat(work.executions()).isZero();
  }

  @ParameterizedTest
  @MethodSource(Case.NEXT)
  void waitingFlight_itsLeaderLeaves_theNextInLinePerforms(Case like) throws Exception {
    SingleFlight<Object, Object> flights = flights();
    GatedWork running = gated();
    Caller ahead = start(Kind.CALL, like.threads(), flights, running);
    running.awaitBegun();
    GatedWork first = gated();
    Caller leaver = start(like.leader(), like.threads(), flights, first);
    awaitCallers(flights, 2);
    leaver.awaitParked();
    GatedWork second = gated();
    Caller heir = start(like.follower(), like.threads(), flights, second);
    awaitCallers(flights, 3);
    leaver.leave();
    leaver.failure();
    awaitCallers(flights, 2);
    running.returns("stale");
    assertThat(ahead.value()).isEqualTo("stale");
    second.awaitBegun();
    second.returns("fresh");
    assertThat(heir.value()).isEqualTo("fresh");
    assertThat(first.executions()).isZero();
  }

  @ParameterizedTest
  @MethodSource(Case.NEXT)
  void waitingFlight_allLeave_neverRuns(Case like) throws Exception {
    SingleFlight<Object, Object> flights = flights();
    GatedWork running = gated();
    Caller ahead = start(like.leader(), like.threads(), flights, running);
    running.awaitBegun();
    List<GatedWork> unused = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      unused.add(gated());
      Caller leaver = start(like.follower(), like.threads(), flights, unused.get(i));
      awaitCallers(flights, 2);
      leaver.leave();
      leaver.failure();
      awaitCallers(flights, 1);
    }
    GatedWork work = GatedWork.returning("fresh");
    Caller behind = start(like.follower(), like.threads(), flights, work);
    awaitCallers(flights, 2);
    running.returns("stale");
    assertThat(ahead.value()).isEqualTo("stale");
    assertThat(behind.value()).isEqualTo("fresh");
    assertThat(unused).allMatch(each -> each.executions() == 0);
  }

  @ParameterizedTest
  @MethodSource(Case.LEAVABLE_NEXT)
  void runningFlight_abandoned_theWaitingOneBeginsAtOnce(Case like) throws Exception {
    SingleFlight<Object, Object> flights = flights();
    GatedWork running = stubborn();
    Caller ahead = start(like.leader(), like.threads(), flights, running);
    running.awaitBegun();
    GatedWork work = gated();
    Caller behind = start(like.follower(), like.threads(), flights, work);
    awaitCallers(flights, 2);
    ahead.leave();
    ahead.failure();
    work.awaitBegun();
    awaitCallers(flights, 1);
    running.returns("nobody hears this");
    work.returns("fresh");
    assertThat(behind.value()).isEqualTo("fresh");
  }

  /** The value is the tick at which its execution began; a call's must be later than its own. */
  @ParameterizedTest
  @EnumSource(Threads.class)
  void anyCall_amongManyThatComeAndGo_getsAnExecutionThatBeganAfterIt(Threads threads)
      throws Exception {
    assumeThat(Threads.available()).contains(threads);
    SingleFlight<Object, Object> flights = flights();
    AtomicLong clock = new AtomicLong();
    AtomicInteger running = new AtomicInteger();
    List<Future<Object>> all = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      SplittableRandom random = new SplittableRandom(i);
      all.add(
          on(
              threads,
              () -> {
                for (int each = 0; each < 3000; each++) {
                  Kind kind = Kind.values()[random.nextInt(Kind.values().length)];
                  long began = clock.incrementAndGet();
                  Object value = call(flights, kind, KEY, () -> execute(clock, running));
                  assertThat((Long) value).as("%s", kind).isGreaterThan(began);
                }
                return "done";
              }));
    }
    for (Future<Object> each : all) {
      assertThat(each.get(60, TimeUnit.SECONDS)).isEqualTo("done");
    }
  }

  private static Object execute(AtomicLong clock, AtomicInteger running) {
    assertThat(running.incrementAndGet()).as("flights running at once").isEqualTo(1);
    long began = clock.incrementAndGet();
    Thread.yield();
    running.decrementAndGet();
    return began;
  }
}
