package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.SingleFlight;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** P6: one failure, shared once. */
public abstract class FailureContract extends Contract {

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void failure_ofOneExecution_reachesTenCallersAsTheSameInstance(Case like) throws Exception {
    Scene scene = new Scene(like, 9, gated());
    Exception failure = new Exception("shared", new IllegalStateException("cause"));
    StackTraceElement[] trace = failure.getStackTrace();
    scene.leadersWork.fails(failure);
    assertThat(scene.leader.failure()).isSameAs(failure);
    for (Caller follower : scene.followers) {
      assertThat(follower.failure()).isSameAs(failure);
    }
    assertThat(scene.leadersWork.executions()).isEqualTo(1);
    assertThat(scene.followersExecutions()).isZero();
    assertThat(failure.getStackTrace()).isEqualTo(trace);
    assertThat(failure.getSuppressed()).isEmpty();
  }

  @Test
  void callAsync_completionExceptionOfAStage_isRemoved() throws Exception {
    SingleFlight<Object, Object> flights = instance();
    IllegalStateException failure = new IllegalStateException("inside");
    CompletableFuture<Object> stage = new CompletableFuture<>();
    CompletableFuture<Object> leader =
        flights.callAsync(KEY, key -> stage.thenApply(value -> value));
    List<Caller> followers = new ArrayList<>();
    for (Kind kind : Kind.values()) {
      followers.add(start(kind, Threads.PLATFORM, flights, gated()));
    }
    awaitCallers(flights, 6);
    stage.completeExceptionally(failure);
    for (Caller follower : followers) {
      assertThat(follower.failure()).isSameAs(failure);
    }
    assertThat(leader.handle((value, thrown) -> thrown).join()).isSameAs(failure);
  }

  @Test
  void callAsync_completionExceptionWithoutCause_isShared() {
    CompletionException failure = new CompletionException("bare", null);
    CompletableFuture<Object> future =
        instance().callAsync(KEY, key -> CompletableFuture.failedFuture(failure));
    assertThat(future.handle((value, thrown) -> thrown).join()).isSameAs(failure);
  }
}
