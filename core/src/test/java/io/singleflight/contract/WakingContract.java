package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.FlightListener;
import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * P12: a landed outcome wakes every follower. Who wakes whom depends on how many there are, and on
 * who of them is busy: so herds of many sizes, with callers that nobody can count on at the front,
 * at the end, and in between.
 */
public abstract class WakingContract extends Contract {

  private static final Object ELSEWHERE = "elsewhere";

  /** Which callers of a herd are busy. */
  enum Busy {
    NOBODY((index, followers) -> false),
    FIRST_HALF((index, followers) -> index < followers / 2),
    LAST_HALF((index, followers) -> index >= followers / 2),
    EVERY_SECOND((index, followers) -> index % 2 == 0),
    ALL_BUT_THE_LAST((index, followers) -> index < followers - 1);

    private interface Choice {
      boolean isBusy(int index, int followers);
    }

    private final Choice choice;

    Busy(Choice choice) {
      this.choice = choice;
    }

    IntPredicate among(int followers) {
      return index -> choice.isBusy(index, followers);
    }
  }

  /** All sizes for one kind of leader, and for the others those where it matters. */
  static Stream<Arguments> herds() {
    Case common = new Case(Kind.CALL, Kind.CALL, Freshness.RUNNING, Threads.PLATFORM);
    return Stream.concat(
        Arrays.stream(Busy.values())
            .flatMap(busy ->
                IntStream.of(1, 2, 3, 4, 5, 6, 8, 9, 14, 15, 16, 17, 18, 20, 21, 22, 40)
                    .mapToObj(followers -> Arguments.of(common, followers, busy))),
        Case.leaders()
            .filter(like -> like.threads() == Threads.PLATFORM && !like.equals(common))
            .flatMap(like ->
                Stream.of(Busy.NOBODY, Busy.EVERY_SECOND)
                    .flatMap(busy ->
                        IntStream.of(1, 15, 16, 17, 40)
                            .mapToObj(followers -> Arguments.of(like, followers, busy)))));
  }

  private final AtomicInteger held = new AtomicInteger();
  private final CountDownLatch release = new CountDownLatch(1);
  private volatile boolean holdUp;

  private final FlightListener<Object> listener =
      new FlightListener<>() {
        @Override
        public void joined(Object key, int callers) {
          if (holdUp) {
            held.incrementAndGet();
            try {
              release.await();
            } catch (InterruptedException ended) {
              Thread.currentThread().interrupt();
            }
          }
        }
      };

  @AfterEach
  void releaseTheListener() {
    release.countDown();
  }

  /** The busy: by turns a caller whose listener is slow, and a batch that waits for another key. */
  @ParameterizedTest
  @MethodSource("herds")
  void landing_herdOfAnySize_wakesAllWhoWait(Case like, int followers, Busy busy) throws Exception {
    SingleFlight<Object, Object> flights =
        instance(options -> options.freshness(like.freshness()).listener(listener));
    GatedWork elsewhere = gated();
    GatedWork aheadsWork = gated();
    GatedWork work = gated();
    start(Kind.CALL, Threads.PLATFORM, flights, ELSEWHERE, elsewhere);
    elsewhere.awaitBegun();
    int aboard = 1;
    if (like.freshness() == Freshness.NEXT) {
      start(Kind.CALL, Threads.PLATFORM, flights, aheadsWork);
      aheadsWork.awaitBegun();
      aboard++;
    }
    Caller leader = start(like.leader(), like.threads(), flights, work);
    awaitCallers(flights, ++aboard);
    leader.awaitParked();
    List<Threads> threads = Threads.available();
    ExecutorService batchThreads = threads();
    List<Caller> waiting = new ArrayList<>();
    List<Caller> slow = new ArrayList<>();
    List<Future<Map<Object, Object>>> batches = new ArrayList<>();
    for (int i = 0; i < followers; i++) {
      Threads on = threads.get(i % threads.size());
      aboard++;
      if (!busy.among(followers).test(i)) {
        Caller caller = start(Kind.values()[i % Kind.values().length], on, flights, gated());
        awaitCallers(flights, aboard);
        caller.awaitParked();
        waiting.add(caller);
      } else if (i % 4 < 2) {
        holdUp = true;
        slow.add(start(Kind.CALL, on, flights, gated()));
        await(() -> held.get() == slow.size());
        holdUp = false;
      } else {
        aboard++;
        batches.add(
            batchThreads.submit(() -> flights.callAll(List.of(ELSEWHERE, KEY), keys -> Map.of())));
        awaitCallers(flights, aboard);
      }
    }
    aheadsWork.returns("ahead");
    work.awaitBegun();
    work.returns("landed");
    assertThat(leader.value()).isEqualTo("landed");
    for (Caller caller : waiting) {
      assertThat(caller.value()).isEqualTo("landed");
    }
    assertThat(slow).noneMatch(Caller::hasEnded);
    assertThat(batches).noneMatch(Future::isDone);
    release.countDown();
    elsewhere.returns("elsewhere");
    for (Caller caller : slow) {
      assertThat(caller.value()).isEqualTo("landed");
    }
    for (Future<Map<Object, Object>> batch : batches) {
      assertThat(batch.get(PATIENCE.toSeconds(), TimeUnit.SECONDS)).containsEntry(KEY, "landed");
    }
  }
}
