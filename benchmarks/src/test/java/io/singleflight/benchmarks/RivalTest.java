package io.singleflight.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import io.singleflight.benchmarks.Herd.Release;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Who replays or does not share must not be compared as if it did what the others do. */
class RivalTest {

  @ParameterizedTest
  @EnumSource
  void call_afterAnother_performsTheWorkAgain(Rival rival) throws Exception {
    AtomicInteger executions = new AtomicInteger();
    Sharing sharing = rival.create(key -> key + executions.incrementAndGet());

    assertThat(sharing.call("a")).isEqualTo("a1");
    assertThat(sharing.call("a")).isEqualTo("a2");
  }

  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.EXCLUDE,
      names = {"FLOOR", "CHM", "CAFFEINE", "SINGLEFLIGHT_NEXT"})
  void herd_ofARivalThatShares_isServedByOneExecution(Rival rival) {
    assertThat(released(rival, ThreadKind.PLATFORM).executions()).isEqualTo(1);
  }

  @Test
  void herd_onVirtualThreads_isServedByOneExecution() {
    assumeThat(ThreadKind.VIRTUAL.exists()).isTrue();

    assertThat(released(Rival.SINGLEFLIGHT, ThreadKind.VIRTUAL).executions()).isEqualTo(1);
  }

  @Test
  void herd_inNext_isServedByOneMoreExecution() {
    assertThat(released(Rival.SINGLEFLIGHT_NEXT, ThreadKind.PLATFORM).executions()).isEqualTo(2);
  }

  @Test
  void herd_released_hasItInOrder() {
    Release release = released(Rival.CHM_CF, ThreadKind.PLATFORM);

    assertThat(release.leaderNanos()).isPositive();
    assertThat(release.halfNanos()).isPositive();
    assertThat(release.allNanos())
        .isGreaterThanOrEqualTo(release.leaderNanos())
        .isGreaterThanOrEqualTo(release.halfNanos());
  }

  @Test
  void overlap_rivalThatReplays_isFoundOut() throws Exception {
    assertThat(stale(Rival.CHM_CF_REPLAY).upperQuartile()).isPositive();
  }

  @Test
  void overlap_ofTheLibrary_isNeverStale() throws Exception {
    assertThat(stale(Rival.SINGLEFLIGHT).values()).containsOnly(0.0);
  }

  private static Release released(Rival rival, ThreadKind kind) {
    try (Herd herd = new Herd(20, kind)) {
      return herd.release(rival.create(herd::work));
    }
  }

  private static Samples stale(Rival rival) throws Exception {
    Results results = new Results();
    Overlap.run(results, 8, 10_000, List.of(rival), 2, 200);
    return results.of("overlap", Overlap.setting(8, 10_000), rival.name(), Overlap.STALE);
  }
}
