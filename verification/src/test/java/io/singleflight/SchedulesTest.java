package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.BrokenSingleFlight.Fault;
import io.singleflight.FrayJvm.Run;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;

/**
 * Runs {@link Schedules} in a JVM that Fray controls, which it must be seen to: what is broken is
 * found. Only where Fray can be trusted: on JDK 17 it waits for threads that are left behind.
 *
 * <p>{@code -Dseed=N} runs the schedule of a seed that was reported.
 */
@EnabledOnOs(value = OS.LINUX, architectures = "amd64")
@EnabledForJreRange(min = JRE.JAVA_25)
@Timeout(value = 2, unit = TimeUnit.HOURS)
@Execution(ExecutionMode.CONCURRENT)
class SchedulesTest {

  private static final String COUNT = Form.LONG ? "20000" : "2000";
  private static final String AT_MOST = "2000";

  @BeforeAll
  static void prepareJvm() throws Exception {
    FrayJvm.prepare();
  }

  @Test
  void schedules_ofAnyWorkload_breakNoPromise() throws Exception {
    String seed = System.getProperty("seed", "");
    Run run = seed.isEmpty() ? explore("0", COUNT) : explore(seed, "1");
    assertThat(run.exitCode()).as(run.output()).isZero();
    System.out.println(run.summary());
  }

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "NONE")
  void schedules_ofWhatIsBroken_areFound(Fault fault) throws Exception {
    Run run = explore("0", AT_MOST, fault.name());
    assertThat(run.exitCode()).as(run.output()).isEqualTo(1);
    System.out.println(fault + ": " + run.summary());
  }

  @Test
  void schedules_ofATextbook_areNotFlagged() throws Exception {
    Run run = explore("0", "500", Fault.NONE.name());
    assertThat(run.exitCode()).as(run.output()).isZero();
  }

  private static Run explore(String... arguments) throws Exception {
    return FrayJvm.run(Schedules.class, arguments);
  }
}
