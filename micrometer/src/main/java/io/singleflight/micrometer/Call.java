package io.singleflight.micrometer;

import static java.util.Objects.requireNonNull;

import io.micrometer.context.ContextSnapshot;
import io.micrometer.observation.Observation;
import io.singleflight.FlightDeadlockException;
import io.singleflight.SingleFlight;
import io.singleflight.TooManyFollowersException;
import java.util.ArrayList;
import java.util.Collection;
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

  /**
   * A flight that this call is aboard, by the key that it is registered with, and the execution
   * that ran for that key when this call came aboard.
   */
  private record Aboard(Object key, boolean follows, @Nullable Execution then) {}

  private record Follow(Observation observation, FollowContext context) {}

  private record End(String outcome, Set<Execution> executions, @Nullable Throwable failure) {}

  // Chains of causes may have cycles.
  private static final int MAX_CAUSES = 1000;

  interface Body<T extends @Nullable Object, E extends Exception> {
    T run() throws E, InterruptedException;
  }

  private final Calls calls;
  private final @Nullable ContextSnapshot context;
  private final @Nullable Observation parent;
  private final AtomicReference<@Nullable Object> follow = new AtomicReference<>();
  private @Nullable Call outer;

  /** The flights that this call is aboard; a batch is aboard several. */
  private final List<Aboard> aboard = new ArrayList<>(1);

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

  /** Tells that this call leads a flight, or is the first of one that waits. */
  void started(Object key) {
    aboard.add(new Aboard(key, false, null));
  }

  /** Tells that this call follows; a batch may do so several times. */
  void joined(Object key) {
    aboard.add(new Aboard(key, true, calls.ofKey(key)));
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

  <T extends @Nullable Object, E extends Exception> Landed<T> perform(Body<T, E> body)
      throws E, InterruptedException {
    stopFollowing(new End("handed_off", waitedFor(), null));
    return perform(keysAboard(), new FlightContext(), body);
  }

  private List<Object> keysAboard() {
    return aboard.stream().map(Aboard::key).toList();
  }

  <T extends @Nullable Object, E extends Exception> Landed<T> performAll(
      Set<?> keys, Body<T, E> body) throws E, InterruptedException {
    FlightContext flight = new FlightContext();
    own.add(flight.execution);
    @Nullable Aboard one = calls.guard.get(() -> keys.size() == 1 ? aboard(keys) : null, null);
    if (one != null) {
      handed(one);
      return perform(Set.of(one.key), flight, body);
    }
    return perform(keys, flight, body);
  }

  private @Nullable Aboard aboard(Set<?> oneKey) {
    for (Aboard each : aboard) {
      if (each.key.equals(oneKey.iterator().next())) {
        return each;
      }
    }
    return null;
  }

  private void handed(Aboard flight) {
    if (flight.follows && aboard.stream().filter(Aboard::follows).count() == 1) {
      stopFollowing(new End("handed_off", waitedFor(), null));
    }
    aboard.remove(flight);
  }

  private <T extends @Nullable Object, E extends Exception> Landed<T> perform(
      Collection<?> keys, FlightContext flight, Body<T, E> body) throws E, InterruptedException {
    return inContext(
        openContext(),
        () -> {
          Observation observation = started("singleflight.flight", "flight", flight);
          calls.began(keys, flight.execution);
          try {
            T value = inScope(observation, body);
            ended(keys, observation, flight, null);
            return new Landed<>(value, flight.execution);
          } catch (Throwable failure) {
            ended(keys, observation, flight, failure);
            throw failure;
          }
        });
  }

  <T extends @Nullable Object> CompletionStage<Landed<T>> performAsync(
      Supplier<? extends @Nullable CompletionStage<? extends T>> function) {
    stopFollowing(new End("handed_off", waitedFor(), null));
    FlightContext flight = new FlightContext();
    List<Object> keys = keysAboard();
    return inContextUnchecked(
        openContext(),
        () -> {
          Observation observation = started("singleflight.flight", "flight", flight);
          calls.began(keys, flight.execution);
          CompletableFuture<Landed<T>> landing = new CompletableFuture<>();
          CompletionStage<? extends T> stage;
          try {
            stage =
                inScope(
                    observation,
                    () -> requireNonNull(function.get(), "the stage that the work returned"));
            stage.whenComplete((value, failure) -> {
              try {
                ended(keys, observation, flight, failure == null ? null : unwrapped(failure));
              } finally {
                if (failure == null) {
                  landing.complete(new Landed<>(value, flight.execution));
                } else {
                  landing.completeExceptionally(failure);
                }
              }
            });
          } catch (Throwable failure) {
            ended(keys, observation, flight, failure);
            throw failure;
          }
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

  private void ended(
      Collection<?> keys,
      Observation observation,
      FlightContext flight,
      @Nullable Throwable failure) {
    if (flight.execution.ended) {
      return;
    }
    calls.ended(keys, flight.execution);
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
    Set<Execution> executions = landed == null ? waitedFor() : Set.of(landed.execution());
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
    } else if (leaving || failedItself) {
      stopFollowing(new End("left", waitedFor(), null));
    } else {
      stopFollowing(new End("failure", waitedFor(), failure));
    }
  }

  /** The executions that this call has waited for, as far as it can tell without their outcome. */
  private Set<Execution> waitedFor() {
    Set<Execution> executions = new LinkedHashSet<>();
    for (Aboard each : aboard) {
      Execution then = each.then;
      Execution now = each.follows ? calls.ofKey(each.key) : null;
      if (then != null && (now == null || !then.ended)) {
        executions.add(then);
      } else if (now != null) {
        executions.add(now);
      }
    }
    executions.removeAll(own);
    return executions;
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
    if (failure != null && !namesAKey(failure)) {
      calls.guard.run(() -> observation.error(failure));
    }
    calls.guard.run(() -> observation.lowCardinalityKeyValue("outcome", outcome).stop());
  }

  /** Whether a failure, or one of its causes, is an exception of the library's about a key. */
  private static boolean namesAKey(Throwable failure) {
    Throwable cause = failure;
    for (int depth = 0; cause != null && depth < MAX_CAUSES; depth++) {
      if (cause instanceof FlightDeadlockException
          || cause instanceof TooManyFollowersException
          || (cause instanceof TimeoutException && isOfTheLibrary(cause.getStackTrace()))) {
        return true;
      }
      cause = cause.getCause();
    }
    return false;
  }

  private static boolean isOfTheLibrary(StackTraceElement[] trace) {
    String name = trace.length == 0 ? "" : trace[0].getClassName();
    return name.lastIndexOf('.') >= 0
        && name.substring(0, name.lastIndexOf('.')).equals(SingleFlight.class.getPackageName());
  }

  private static Throwable unwrapped(Throwable failure) {
    Throwable cause = failure.getCause();
    return failure instanceof CompletionException && cause != null ? cause : failure;
  }
}
