package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;
import static org.awaitility.Awaitility.await;

import io.singleflight.contract.Threads;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** P12: what the leader pays for waking those aboard. */
class FlightTest {

  /**
   * The followers of this herd wait in their seats like any others, but once woken they wake nobody
   * else: so all who are woken, the leader has woken. Unlike another thread, a virtual one is
   * runnable as soon as somebody has unparked it: no thread's turn has to be waited for.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 14, 15, 16, 17, 100, 1500})
  void landing_followersThatWakeNobody_leaderHasWokenSixteenAtMost(int followers) throws Exception {
    assumeThat(Threads.available()).contains(Threads.VIRTUAL);
    LocalSingleFlight<String, String> flights =
        (LocalSingleFlight<String, String>) SingleFlight.<String, String>create();
    List<Thread> threads = new ArrayList<>();
    String value =
        flights.call(
            "a",
            key -> {
              Line<String, String> line = flights.table.find("a", "a".hashCode());
              for (int i = 0; i < followers; i++) {
                threads.add(
                    Threads.VIRTUAL.start(() -> {
                      Seat<String, String> seat = Seat.ofThread();
                      line.board(seat, Integer.MAX_VALUE, Freshness.RUNNING);
                      line.attend(seat);
                      while (seat.outcome() == null) {
                        LockSupport.park();
                      }
                    }));
              }
              await()
                  .until(() ->
                      threads.stream().allMatch(FlightTest::waits)
                          && flights.inFlight().get(0).callers() == 1 + followers);
              return "landed";
            });
    long wokenByTheLeader = threads.stream().filter(thread -> !waits(thread)).count();
    threads.forEach(LockSupport::unpark);
    assertThat(value).isEqualTo("landed");
    assertThat(wokenByTheLeader).isBetween(1L, (long) Flight.SMALL);
  }

  private static boolean waits(Thread thread) {
    return thread.getState() == Thread.State.WAITING;
  }
}
