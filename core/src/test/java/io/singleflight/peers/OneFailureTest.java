package io.singleflight.peers;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** P6: a failure reaches every caller as the same instance, unchanged, and is never re-run. */
class OneFailureTest extends PeerRegression {

  /**
   * Only the leader was given the failure; the followers found an entry without a value and
   * returned null, as if all were well. Found in go-zero and ancientmodern's library.
   */
  @ParameterizedTest
  @EnumSource
  void call_leaderFails_failsItsFollowerToo(Call.Kind kind) throws Exception {
    Exception failure = new Exception("thrown on purpose");
    Call leader = kind.begin(flights, "a", () -> failing(failure));
    begun.await();
    Call follower = kind.begin(flights, "a", this::count);
    Call.awaitAboard(flights, 2);
    gate.countDown();
    assertThat(follower.failure()).isSameAs(failure);
    assertThat(leader.failure()).isSameAs(failure);
  }

  /**
   * Failures were not shared: each waiter that saw one ran the work itself, one after another, so
   * ten callers of a failing backend called it ten times. Found in DanielLiu1123's library,
   * FusionCache and caffeine#287.
   */
  @ParameterizedTest
  @EnumSource
  void call_tenCallersOfAFailingWork_areOneExecution(Call.Kind kind) throws Exception {
    Exception failure = new Exception("thrown on purpose");
    List<Call> callers = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      callers.add(kind.begin(flights, "a", () -> failing(failure)));
    }
    Call.awaitAboard(flights, 10);
    gate.countDown();
    for (Call caller : callers) {
      assertThat(caller.failure()).isSameAs(failure);
    }
    assertThat(executions).hasValue(1);
  }

  /**
   * The one exception that all callers share was changed on the way to each: its trace was
   * rewritten or grew, causes and suppressed exceptions were added, by several threads at once.
   * Found in hazelcast#4201, hazelcast#11244 and mercury#19.
   */
  @ParameterizedTest
  @EnumSource
  void call_failureShared_isNotMutated(Call.Kind kind) throws Exception {
    Exception cause = new Exception("the cause");
    Exception failure = new Exception("thrown on purpose", cause);
    StackTraceElement[] trace = failure.getStackTrace();
    List<Call> callers = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      callers.add(kind.begin(flights, "a", () -> failing(failure)));
    }
    Call.awaitAboard(flights, 10);
    gate.countDown();
    for (Call caller : callers) {
      assertThat(caller.failure()).isSameAs(failure);
    }
    assertThat(failure.getStackTrace()).isEqualTo(trace);
    assertThat(failure).hasMessage("thrown on purpose").cause().isSameAs(cause);
    assertThat(failure.getSuppressed()).isEmpty();
  }
}
