package io.singleflight.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** Holds the library to its figures, and shows that the gate closes. */
class GateTest {

  /** The flight of the call, and nothing else. */
  private static final double BYTES_PER_CALL = 40;

  /** The flight and its share of the table, with arrays where flights met in a slot. */
  private static final double BYTES_IN_FLIGHT = 58;

  /** Only gross regressions: what is less is lost in the noise of a shared machine. */
  private static final double TIME_RATIO = 3;

  private static final int PATIENCE = 30;

  private final Gate gate = new Gate();
  private final Sharing ours = Rival.SINGLEFLIGHT.create(key -> key);
  private final Sharing idiom = Rival.CHM_CF.create(key -> key);

  @Test
  void call_uncontended_allocatesNoMoreThanTheGateAllows() throws Exception {
    assertThat(gate.bytesPerCall(ours, BYTES_PER_CALL, PATIENCE))
        .as("bytes per uncontended call")
        .isLessThanOrEqualTo(BYTES_PER_CALL);
  }

  @Test
  void call_uncontended_takesAtMostThriceTheTimeOfTheIdiom() throws Exception {
    assertThat(gate.timeRatio(ours, idiom, TIME_RATIO, PATIENCE))
        .as("time of an uncontended call, in times that of ConcurrentHashMap + CompletableFuture")
        .isLessThanOrEqualTo(TIME_RATIO);
  }

  @Test
  void flight_underWay_holdsNoMoreThanTheGateAllows() throws Exception {
    assertThat(InFlightMemory.inOwnJvm(InFlightMemory.BLOCKING, Rival.SINGLEFLIGHT))
        .as("bytes a key in flight")
        .isLessThanOrEqualTo(BYTES_IN_FLIGHT);
  }

  @Test
  void gate_libraryThatAllocates_isClosed() throws Exception {
    Object[] kept = new Object[1];
    Sharing wasteful =
        key -> {
          kept[0] = new byte[1];
          return ours.call(key);
        };

    assertThat(gate.bytesPerCall(wasteful, BYTES_PER_CALL, 3)).isGreaterThan(BYTES_PER_CALL);
  }

  @Test
  void gate_libraryThatTakesTenTimesAsLong_isClosed() throws Exception {
    Sharing slow =
        key -> {
          Object value = null;
          for (int i = 0; i < 10; i++) {
            value = ours.call(key);
          }
          return value;
        };

    assertThat(gate.timeRatio(slow, ours, TIME_RATIO, 3)).isGreaterThan(TIME_RATIO);
  }
}
