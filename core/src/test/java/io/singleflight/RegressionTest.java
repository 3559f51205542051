package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Field;
import org.junit.jupiter.api.Test;

/** Defects that were found by review, each with the interleaving that showed it. */
class RegressionTest {

  @Test
  void insert_equalHashCodesAmongDenseOnes_doesNotGrowTheTable() throws Exception {
    FlightTable<Integer, Integer> table = new FlightTable<>();
    for (int i = 0; i < 1000; i++) {
      table.insert(new Flight<>(i, i % 100, "table", 0, null, null));
    }
    assertThat(slotsOf(table)).isEqualTo(1024);
  }

  private static int slotsOf(FlightTable<?, ?> table) throws ReflectiveOperationException {
    Field slots = FlightTable.class.getDeclaredField("slots");
    slots.setAccessible(true);
    Field array = slots.get(table).getClass().getDeclaredField("array");
    array.setAccessible(true);
    return ((Object[]) array.get(slots.get(table))).length;
  }
}
