package io.singleflight;

import static org.assertj.core.api.Assertions.assertThat;

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

/**
 * Runs {@link ContractSchedules} in a JVM that Fray controls, where {@link SchedulesTest} runs too.
 *
 * <p>{@code -Dseed=N} runs the test and the schedule of a seed that was reported.
 */
@EnabledOnOs(value = OS.LINUX, architectures = "amd64")
@EnabledForJreRange(min = JRE.JAVA_25)
@Timeout(value = 2, unit = TimeUnit.HOURS)
@Execution(ExecutionMode.CONCURRENT)
class ContractSchedulesTest {

  private static final String COUNT = Form.LONG ? "3000" : "110";

  @BeforeAll
  static void prepareJvm() throws Exception {
    FrayJvm.prepare();
  }

  @Test
  void schedules_ofTheContractSuite_breakNoPromise() throws Exception {
    String seed = System.getProperty("seed", "");
    Run run =
        seed.isEmpty()
            ? FrayJvm.run(ContractSchedules.class, "0", COUNT)
            : FrayJvm.run(ContractSchedules.class, seed, "1");
    assertThat(run.exitCode()).as(run.output()).isZero();
    System.out.println(run.summary());
  }
}
