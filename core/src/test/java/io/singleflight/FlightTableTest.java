package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.IntUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FlightTableTest {

  private final LocalSingleFlight<Integer, Integer> instance =
      (LocalSingleFlight<Integer, Integer>) SingleFlight.<Integer, Integer>create();
  private final FlightTable<Integer, Integer> table = instance.table;

  private Line<Integer, Integer> insert(int key, int hash) {
    Line<Integer, Integer> line = new Line<>(instance, key, hash, 0, Performer.current());
    assertThat(table.insert(line)).isSameAs(line);
    return line;
  }

  /** Slots that are crowded by one hash code, by its last bits, or by none. */
  private enum Hashes {
    EQUAL(key -> 5),
    FEW(key -> key % 100),
    DENSE(key -> key),
    HIGH_BITS(key -> key << 20),
    MULTIPLES_OF_1024(key -> key << 10),
    SCATTERED(key -> key * 0x9E3779B9);

    final IntUnaryOperator of;

    Hashes(IntUnaryOperator of) {
      this.of = of;
    }
  }

  @ParameterizedTest
  @CsvSource({
    "EQUAL, 1000",
    "FEW, 1000",
    "DENSE, 20000",
    "HIGH_BITS, 4096",
    "MULTIPLES_OF_1024, 20000",
    "SCATTERED, 20000"
  })
  void manyLines_areFoundAndRemovedOneByOne(Hashes hashes, int count) {
    List<Line<Integer, Integer>> lines = new ArrayList<>();
    for (int key = 0; key < count; key++) {
      lines.add(insert(key, hashes.of.applyAsInt(key)));
    }
    assertThat(table.lines()).hasSize(count);
    assertThat(Set.copyOf(table.lines())).isEqualTo(Set.copyOf(lines));
    for (Line<Integer, Integer> line : lines) {
      assertThat(table.find(line.key, line.hash)).isSameAs(line);
      assertThat(table.insert(new Line<>(instance, line.key, line.hash, 0, Performer.current())))
          .isSameAs(line);
      if (line.key % 2 == 0) {
        table.remove(line);
      } else {
        assertThat(line.landAlone()).isTrue();
      }
      assertThat(table.find(line.key, line.hash)).isNull();
    }
    assertThat(table.lines()).isEmpty();
  }

  /** What was shared while the slots were coarse is shared in the finer ones. */
  @Test
  void share_beforeTheSlotIsCrowded_lastsWhenItIs() {
    Line<Integer, Integer> shared = insert(0, 0);
    assertThat(table.share(shared)).isTrue();
    for (int key = 1; key <= FlightTable.CROWDED; key++) {
      insert(key, key << 26);
    }
    assertThat(table.removeUnshared(shared)).isFalse();
    assertThat(table.find(0, 0)).isSameAs(shared);
  }

  @Test
  void landAlone_inASlotOfSeveral_leavesTheOthers() {
    Line<Integer, Integer> other = insert(1, 7);
    Line<Integer, Integer> line = insert(2, 7);
    assertThat(table.removeUnshared(line)).isFalse();
    assertThat(line.landAlone()).isTrue();
    assertThat(table.lines()).containsExactly(other);
  }
}
