package io.singleflight.micrometer;

import static java.util.Objects.requireNonNull;

import io.micrometer.context.ContextSnapshot;
import io.micrometer.observation.Observation;
import io.singleflight.FlightDeadlockException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** One call: the context that it came in, and what is observed of it. */
final class Call {

  /*
   * The wait of a follower is observed from the moment that the listener tells, on the follower's
   * own thread, that it came aboard. Its end may come first, on another thread:
   *
   *   null -> Follow -> End        as it should be
   *   null -> End                  a leader; or the end came first, and joined() makes good for it
   */

  private record Follow(Observation observation, FollowContext context) {}

  private record End(String outcome, Set<Execution> executions, @Nullable Throwable failure) {}

  interface Body<T extends @Nullable Object, E extends Exception> {
    T run() throws E, InterruptedException;
  }

  private final Calls calls;
  private final @Nullable ContextSnapshot context;
  private final @Nullable Observation parent;
  private final AtomicReference<@Nullable Object> follow = new AtomicReference<>();
  private @Nullable Call outer;
  private volatile @Nullable Object joinedKey;

  /** The keys of flights that this call follows; it has not been handed them. */
  private final List<Object> follows = new ArrayList<>(1);

  /** The executions of this call's own work. */
  private final Set<Execution> own = new LinkedHashSet<>(2);

  Call(Calls calls, @Nullable ContextSnapshot context) {
    this.calls = calls;
    this.context = context;
    this.parent = calls.registry.getCurrentObservation();
  }

  // Coming aboard

  void enter() {
    outer = calls.entering.get();
    calls.entering.set(this);
  }

  void exit() {
    reenter(outer);
  }

  private void reenter(@Nullable Call call) {
    if (call == null) {
      calls.entering.remove();
    } else {
      calls.entering.set(call);
    }
  }

  /** Tells that this call follows; a batch may do so several times. */
  void joined(Object key) {
    joinedKey = key;
    follows.add(key);
    if (follow.get() instanceof Follow) {
      return;
    }
    FollowContext wait = new FollowContext();
    Observation observation = started("singleflight.follow", "follow", wait);
    if (!follow.compareAndSet(null, new Follow(observation, wait))
        && follow.get() instanceof End end) {
      stop(observation, wait, end);
    }
  }

  // Performing

  <T extends @Nullable Object, E extends Exception> Landed<T> perform(Object key, Body<T, E> body)
      throws E, InterruptedException {
    stopFollowing("handed_off", null);
    FlightContext flight = new FlightContext();
    calls.began(key, flight.execution);
    try {
      return perform(flight, body);
    } finally {
      calls.ended(key, flight.execution);
    }
  }

  <T extends @Nullable Object, E extends Exception> Landed<T> performAll(
      Set<?> keys, Body<T, E> body) throws E, InterruptedException {
    if (follows.removeIf(keys::contains) && follows.isEmpty()) {
      stopFollowing("handed_off", null);
    }
    FlightContext flight = new FlightContext();
    own.add(flight.execution);
    return perform(flight, body);
  }

  private <T extends @Nullable Object, E extends Exception> Landed<T> perform(
      FlightContext flight, Body<T, E> body) throws E, InterruptedException {
    return inContext(
        openContext(),
        () -> {
          Observation observation = started("singleflight.flight", "flight", flight);
          try {
            T value = inScope(observation, body);
            stop(observation, flight, null);
            return new Landed<>(value, flight.execution);
          } catch (Throwable failure) {
            stop(observation, flight, failure);
            throw failure;
          }
        });
  }

  <T extends @Nullable Object> CompletionStage<Landed<T>> performAsync(
      Object key, Supplier<? extends @Nullable CompletionStage<? extends T>> function) {
    stopFollowing("handed_off", null);
    FlightContext flight = new FlightContext();
    return inContextUnchecked(
        openContext(),
        () -> {
          Observation observation = started("singleflight.flight", "flight", flight);
          CompletionStage<? extends T> stage;
          try {
            stage =
                inScope(
                    observation,
                    () -> requireNonNull(function.get(), "the stage that the work returned"));
          } catch (Throwable failure) {
            stop(observation, flight, failure);
            throw failure;
          }
          calls.began(key, flight.execution);
          CompletableFuture<Landed<T>> landing = new CompletableFuture<>();
          stage.whenComplete((value, failure) -> {
            try {
              calls.ended(key, flight.execution);
              stop(observation, flight, failure == null ? null : unwrapped(failure));
            } finally {
              if (failure == null) {
                landing.complete(new Landed<>(value, flight.execution));
              } else {
                landing.completeExceptionally(failure);
              }
            }
          });
          landing.whenComplete((landed, failure) -> {
            if (landing.isCancelled()) {
              cancel(stage);
            }
          });
          return landing;
        });
  }

  private static void cancel(CompletionStage<?> stage) {
    try {
      stage.toCompletableFuture().cancel(true);
    } catch (UnsupportedOperationException cannot) {
      // A stage need not offer cancellation; its execution then ends unheard.
    }
  }

  /* A handler that throws leaves the scope open, and the one before it lost. */
  private <T extends @Nullable Object, E extends Exception> T inScope(
      Observation observation, Body<T, E> body) throws E, InterruptedException {
    Observation.Scope before = calls.registry.getCurrentObservationScope();
    calls.guard.run(observation::openScope);
    Observation.Scope scope = calls.registry.getCurrentObservationScope();
    try {
      return body.run();
    } finally {
      if (scope != null && scope != before) {
        calls.guard.run(scope::close);
        calls.registry.setCurrentObservationScope(before);
      }
    }
  }

  private void stop(Observation observation, FlightContext flight, @Nullable Throwable failure) {
    if (failure != null) {
      calls.failed(failure, flight.execution);
    }
    stop(observation, failure == null ? "value" : "failure", failure);
  }

  /** Opens the context of this call; an accessor of a thread local may throw. */
  private ContextSnapshot.Scope openContext() {
    return context == null ? () -> {} : context.setThreadLocals();
  }

  /** Runs what is not part of taking a seat in the context of this call. */
  private <T extends @Nullable Object, E extends Exception> T inContext(
      ContextSnapshot.Scope opened, Body<T, E> body) throws E, InterruptedException {
    Call entering = calls.entering.get();
    calls.entering.remove();
    try {
      return body.run();
    } finally {
      calls.guard.run(opened::close);
      reenter(entering);
    }
  }

  private <T extends @Nullable Object> T inContextUnchecked(
      ContextSnapshot.Scope opened, Body<T, RuntimeException> body) {
    try {
      return inContext(opened, body);
    } catch (InterruptedException sneaky) {
      throw Call.<RuntimeException>sneaky(sneaky);
    }
  }

  @SuppressWarnings("unchecked")
  private static <X extends Throwable> X sneaky(Throwable failure) throws X {
    throw (X) failure;
  }

  /** Continues what waits for a future: in the context of this call, or else without. */
  void continueWith(Runnable continuation) {
    inContextUnchecked(
        calls.guard.get(this::openContext, () -> {}),
        () -> {
          continuation.run();
          return null;
        });
  }

  // Ending

  <T extends @Nullable Object> T landed(@Nullable Landed<T> landed) {
    Set<Execution> executions = landed == null ? Set.of() : Set.of(landed.execution());
    stopFollowing(new End("value", executions, null));
    return valueOf(landed);
  }

  <K, T extends @Nullable Object> Map<K, T> landedAll(Map<K, Landed<T>> landed) {
    Map<K, T> values = new LinkedHashMap<>();
    Set<Execution> joined = new LinkedHashSet<>();
    landed.forEach((key, each) -> {
      values.put(key, valueOf(each));
      if (each != null) {
        joined.add(each.execution());
      }
    });
    joined.removeAll(own);
    stopFollowing(new End("value", joined, null));
    return values;
  }

  /* A single caller of a key that a batch had no value for gets null. */
  @SuppressWarnings("NullAway")
  static <T extends @Nullable Object> T valueOf(@Nullable Landed<T> landed) {
    return landed == null ? null : landed.value();
  }

  void failed(Throwable failure) {
    failed(
        failure,
        failure instanceof InterruptedException
            || failure instanceof TimeoutException
            || failure instanceof FlightDeadlockException);
  }

  /** Tells what this call failed with; if no execution did, the caller may have left. */
  void failed(Throwable failure, boolean leaving) {
    Execution execution = calls.ofFailure(failure);
    boolean failedItself = execution != null && own.contains(execution);
    if (execution != null && !failedItself) {
      stopFollowing(new End("failure", Set.of(execution), failure));
    } else {
      stopFollowing(leaving || failedItself ? "left" : "failure", failure);
    }
  }

  /** Stops without an outcome to tell which execution it was. */
  private void stopFollowing(String outcome, @Nullable Throwable failure) {
    Object key = joinedKey;
    Execution execution = key == null ? null : calls.ofKey(key);
    stopFollowing(new End(outcome, execution == null ? Set.of() : Set.of(execution), failure));
  }

  private void stopFollowing(End end) {
    Object state = follow.get();
    while (!(state instanceof End)) {
      if (follow.compareAndSet(state, end)) {
        if (state instanceof Follow following) {
          stop(following.observation, following.context, end);
        }
        return;
      }
      state = follow.get();
    }
  }

  private void stop(Observation observation, FollowContext wait, End end) {
    wait.executions = end.executions;
    stop(observation, end.outcome, end.failure);
  }

  // Observations, which change nothing when they fail

  private Observation started(String what, String word, Observation.Context about) {
    Observation observation =
        calls.guard.get(
            () ->
                Observation.createNotStarted(what, () -> about, calls.registry)
                    .contextualName(calls.name + " " + word)
                    .parentObservation(parent)
                    .lowCardinalityKeyValue("name", calls.name),
            Observation.NOOP);
    calls.guard.run(observation::start);
    return observation;
  }

  private void stop(Observation observation, String outcome, @Nullable Throwable failure) {
    if (failure != null) {
      calls.guard.run(() -> observation.error(failure));
    }
    calls.guard.run(() -> observation.lowCardinalityKeyValue("outcome", outcome).stop());
  }

  private static Throwable unwrapped(Throwable failure) {
    Throwable cause = failure.getCause();
    return failure instanceof CompletionException && cause != null ? cause : failure;
  }
}
