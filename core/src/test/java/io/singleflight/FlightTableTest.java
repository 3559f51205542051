package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Field;
import org.junit.jupiter.api.Test;

class FlightTableTest {

  private static final int INITIAL_SLOTS = 1024;

  private final FlightTable<Integer, Integer> table = new FlightTable<>();
  private final LocalSingleFlight<?, ?> instance = (LocalSingleFlight<?, ?>) SingleFlight.create();

  private void insert(int key, int hash) {
    Flight<Integer, Integer> flight = new Flight<>(instance, key, hash, 0, Performer.current());
    assertThat(table.insert(flight)).isSameAs(flight);
  }

  @Test
  void insert_equalHashCodesAmongDenseOnes_doesNotGrowTheTable() throws Exception {
    for (int i = 0; i < 1000; i++) {
      insert(i, i % 100);
    }
    assertThat(slots()).isEqualTo(INITIAL_SLOTS);
  }

  /** Crowded is a table more than half of whose slots are taken, as far as a sample tells. */
  @Test
  void insert_manyFlights_growsTheTableAndKeepsThem() throws Exception {
    int flights = 20_000;
    for (int i = 0; i < flights; i++) {
      insert(i, Integer.hashCode(i * 0x9E3779B9));
    }
    assertThat(slots()).isBetween(flights / 2, 4 * flights);
    for (int i = 0; i < flights; i++) {
      assertThat(table.find(i, Integer.hashCode(i * 0x9E3779B9))).isNotNull();
    }
    assertThat(table.flights()).hasSize(flights);
  }

  @Test
  void removeAlone_inASlotOfSeveral_leavesTheOthers() {
    insert(1, 7);
    insert(2, 7);
    assertThat(table.removeAlone(table.find(2, 7))).isTrue();
    assertThat(table.flights()).extracting(flight -> flight.key).containsExactly(1);
  }

  private int slots() throws ReflectiveOperationException {
    Field slots = FlightTable.class.getDeclaredField("slots");
    slots.setAccessible(true);
    Field array = slots.get(table).getClass().getDeclaredField("array");
    array.setAccessible(true);
    return ((Object[]) array.get(slots.get(table))).length;
  }
}
