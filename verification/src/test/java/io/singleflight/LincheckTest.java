package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jetbrains.lincheck.datastructures.IntGen;
import org.jetbrains.lincheck.datastructures.ModelCheckingOptions;
import org.jetbrains.lincheck.datastructures.Operation;
import org.jetbrains.lincheck.datastructures.Param;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Model checking against sequential specifications: the table of flights, and the flow of calls for
 * one key in both freshness modes. On a JDK 17 only: on newer ones Lincheck passes whatever it is
 * given, so the first test is a canary that must fail.
 *
 * <p>Long form: {@code ./mvnw -pl verification -am verify -Djdk17.home=… -Dverification=long
 * -Dtest=LincheckTest -Dsurefire.failIfNoSpecifiedTests=false}.
 */
@Tag("lincheck")
@Timeout(value = 2, unit = TimeUnit.HOURS)
class LincheckTest {

  private static final int IDS = 4;
  private static final int HASH = 5;

  @Test
  void check_unguardedCounter_isFlagged() {
    assertThat(Runtime.version().feature())
        .as("the JDK that Lincheck can be trusted on")
        .isEqualTo(17);
    assertThatThrownBy(() -> check(Counter.class, Counter.class))
        .isInstanceOf(AssertionError.class);
  }

  @Test
  void check_tableThatEvictsByKey_isFlagged() {
    assertThatThrownBy(() -> check(TableByKey.class, TableSpecification.class))
        .isInstanceOf(AssertionError.class);
  }

  @Test
  void check_callsOfTheOtherFreshness_isFlagged() {
    assertThatThrownBy(() -> check(NextCalls.class, RunningSpecification.class))
        .isInstanceOf(AssertionError.class);
  }

  @Test
  void check_table_isLinearizable() {
    check(Table.class, TableSpecification.class);
  }

  @Test
  void check_callsInRunning_areLinearizable() {
    check(RunningCalls.class, RunningSpecification.class);
  }

  @Test
  void check_callsInNext_areLinearizable() {
    check(NextCalls.class, NextSpecification.class);
  }

  private static void check(Class<?> implementation, Class<?> specification) {
    new ModelCheckingOptions()
        .iterations(Form.LONG ? 50 : 20)
        .invocationsPerIteration(Form.LONG ? 1_000 : 50)
        .threads(2)
        .actorsPerThread(3)
        .actorsBefore(0)
        .actorsAfter(1)
        // The table looks at a sample of its slots to see whether it is crowded: no livelock.
        .loopBound(10_000)
        .sequentialSpecification(specification)
        .check(implementation);
  }

  /** Loses updates. */
  public static final class Counter {
    private int count;

    @Operation
    public int increment() {
      return ++count;
    }
  }

  /**
   * Lines 0 and 2 are for one key, 1 and 3 for another; all have one hash code. Others are in their
   * slot already, so many that it is crowded as soon as both keys have a line.
   */
  @Param(name = "id", gen = IntGen.class, conf = "0:3")
  public static class Table {
    final FlightTable<Integer, Integer> table = new FlightTable<>();
    final List<Line<Integer, Integer>> lines = new ArrayList<>();

    public Table() {
      for (int id = 0; id < IDS; id++) {
        lines.add(line(id % 2, HASH));
      }
      for (int other = 1; other < FlightTable.CROWDED; other++) {
        table.insert(line(-other, HASH + (other << 26)));
      }
    }

    private static Line<Integer, Integer> line(int key, int hash) {
      return new Line<>(
          (LocalSingleFlight<?, ?>) SingleFlight.create(), key, hash, 0, Performer.current());
    }

    @Operation
    public int insert(@Param(name = "id") int id) {
      return lines.indexOf(table.insert(lines.get(id)));
    }

    @Operation
    public int find(@Param(name = "id") int id) {
      return lines.indexOf(table.find(id % 2, HASH));
    }

    @Operation
    public void remove(@Param(name = "id") int id) {
      table.remove(lines.get(id));
    }
  }

  /** Removes whatever is there for the key. */
  @Param(name = "id", gen = IntGen.class, conf = "0:3")
  public static final class TableByKey extends Table {
    @Override
    @Operation
    public void remove(@Param(name = "id") int id) {
      Line<Integer, Integer> found = table.find(id % 2, HASH);
      if (found != null) {
        table.remove(found);
      }
    }
  }

  /** What a table does, one operation at a time. */
  public static final class TableSpecification {
    private final Map<Integer, Integer> byKey = new HashMap<>();

    public int insert(int id) {
      Integer before = byKey.putIfAbsent(id % 2, id);
      return before == null ? id : before;
    }

    public int find(int id) {
      return byKey.getOrDefault(id % 2, -1);
    }

    public void remove(int id) {
      byKey.remove(id % 2, id);
    }
  }

  /** Calls for one key that has a flight, which an operation lands; the others' never land. */
  public abstract static class Calls {
    private final SingleFlight<Integer, Integer> flights;
    private final CompletableFuture<Integer> stage = new CompletableFuture<>();
    private final ThreadLocal<Boolean> onExecutor = ThreadLocal.withInitial(() -> false);

    Calls(Freshness freshness) {
      flights =
          SingleFlight.<Integer, Integer>builder()
              .freshness(freshness)
              .executor(task -> {
                onExecutor.set(true);
                task.run();
                onExecutor.set(false);
              })
              .build(() -> 0);
      flights.callAsync(7, key -> stage);
    }

    @Operation(runOnce = true)
    public boolean call1() {
      return call();
    }

    @Operation(runOnce = true)
    public boolean call2() {
      return call();
    }

    /**
     * Returns whether this call leads at once. A call whose flight waits in line, and that a forget
     * lets start before it has returned, does not: it is appointed, by way of the executor.
     */
    private boolean call() {
      boolean[] leads = new boolean[1];
      flights.callAsync(
          7,
          key -> {
            leads[0] = !onExecutor.get();
            return new CompletableFuture<>();
          });
      return leads[0];
    }

    @Operation(runOnce = true)
    public void land() {
      stage.complete(0);
    }

    /* Once: in NEXT two flights are detached, and two that forget at a time may each detach one. */
    @Operation(runOnce = true)
    public boolean forget() {
      return flights.forget(7);
    }
  }

  public static final class RunningCalls extends Calls {
    public RunningCalls() {
      super(Freshness.RUNNING);
    }
  }

  public static final class NextCalls extends Calls {
    public NextCalls() {
      super(Freshness.NEXT);
    }
  }

  /** What calls for one key do, one operation at a time. */
  public abstract static class Specification {
    private final boolean next;
    private boolean firstRuns = true;
    private boolean otherRuns;
    private boolean waiting;

    Specification(boolean next) {
      this.next = next;
    }

    public boolean call1() {
      return call();
    }

    public boolean call2() {
      return call();
    }

    private boolean call() {
      if (firstRuns || otherRuns) {
        waiting = next;
        return false;
      }
      otherRuns = true;
      return true;
    }

    public void land() {
      if (firstRuns) {
        otherRuns = waiting;
        firstRuns = false;
        waiting = false;
      }
    }

    public boolean forget() {
      boolean any = firstRuns || otherRuns;
      firstRuns = false;
      otherRuns = false;
      waiting = false;
      return any;
    }
  }

  public static final class RunningSpecification extends Specification {
    public RunningSpecification() {
      super(false);
    }
  }

  public static final class NextSpecification extends Specification {
    public NextSpecification() {
      super(true);
    }
  }
}
