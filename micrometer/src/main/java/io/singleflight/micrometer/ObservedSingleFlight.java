package io.singleflight.micrometer;

import static java.util.Objects.requireNonNull;

import io.micrometer.observation.ObservationRegistry;
import io.singleflight.BatchWork;
import io.singleflight.InFlight;
import io.singleflight.SingleFlight;
import io.singleflight.Work;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Builds {@code SingleFlight}s whose flights are observed, and in which each caller's context goes
 * where its work runs.
 *
 * <pre>{@code
 * SingleFlight<String, Customer> flights =
 *     ObservedSingleFlight.build("customers", SingleFlight.builder(), observations);
 * }</pre>
 *
 * <table class="striped">
 * <caption>Observations; the library puts the key in none of them</caption>
 * <thead><tr><th scope="col">Name<th scope="col">From, to<th scope="col">Parent<th scope="col">Low
 * cardinality tags</thead>
 * <tbody>
 * <tr><th scope="row">{@code singleflight.flight}<td>an execution of a work; one per flight, unless
 * it is handed off<td>what its caller was observed in<td>{@code name}; {@code outcome}: {@code
 * value}, {@code failure}
 * <tr><th scope="row">{@code singleflight.follow}<td>a follower's wait<td>what the follower was
 * observed in<td>{@code name}; {@code outcome}: {@code value}, {@code failure}, {@code left}, {@code
 * handed_off}
 * </tbody>
 * </table>
 *
 * <p>As spans, each follower's is <i>linked</i> to the flight's, which may be of another trace;
 * that needs a {@link FlightTracingObservationHandler}. A follower that left, or was handed the
 * flight, is linked to the execution that it waited for, if that had begun; in {@link
 * io.singleflight.Freshness#NEXT} that is the one ahead until its own flight has begun. The link of
 * a failure goes by the instance: if two flights fail with the same one, to that which failed last.
 *
 * <p>The failure of a work is the error of its flight's observation and of its followers', as it
 * is, so its message had better not name the key. The exceptions of the library, which do, are the
 * error of none; nor is it an error that a follower left.
 *
 * <p>A handler, filter or convention that throws is logged once and changes nothing for the calls.
 *
 * <p><b>Context.</b> A work that runs on the executor sees the context of its own caller: the
 * observation, and whatever else the {@code ContextRegistry} of Micrometer's context propagation
 * knows, also after a hand-off and in {@link io.singleflight.Freshness#NEXT}. There is no need to
 * wrap the executor. What a caller adds to its future continues in that caller's context.
 *
 * @param <K> the type of the keys
 * @param <V> the type of the values
 */
public final class ObservedSingleFlight<K, V extends @Nullable Object>
    implements SingleFlight<K, V> {

  private final SingleFlight<K, Landed<V>> flights;
  private final Calls calls;

  private ObservedSingleFlight(SingleFlight<K, Landed<V>> flights, Calls calls) {
    this.flights = flights;
    this.calls = calls;
  }

  /**
   * Builds an observed instance.
   *
   * @param name the name of the instance, and the value of the tag {@code name}; not blank
   * @param options the other options; this adds to them, so do not use them again
   * @param registry the registry of the observations
   * @param <K> the type of the keys
   * @param <V> the type of the values
   * @return a new instance
   */
  public static <K, V extends @Nullable Object> SingleFlight<K, V> build(
      String name, SingleFlight.Builder<K, V> options, ObservationRegistry registry) {
    requireNonNull(registry, "registry");
    return tagged(name, requireNonNull(options, "options").name(name), registry);
  }

  static <K, V extends @Nullable Object> SingleFlight<K, V> tagged(
      String name, SingleFlight.Builder<K, V> options, ObservationRegistry registry) {
    Calls calls = new Calls(name, registry);
    return new ObservedSingleFlight<>(ofLanded(options.listener(calls)).build(), calls);
  }

  /* No option knows of the type of the values. */
  @SuppressWarnings("unchecked")
  private static <K, V extends @Nullable Object> SingleFlight.Builder<K, Landed<V>> ofLanded(
      SingleFlight.Builder<K, V> options) {
    return (SingleFlight.Builder<K, Landed<V>>) (SingleFlight.Builder<K, ?>) options;
  }

  // The kinds of calls

  @Override
  public <E extends Exception> V call(K key, Work<? super K, ? extends V, E> work)
      throws E, InterruptedException {
    requireNonNull(work, "work");
    Call call = calls.onThisThread();
    call.enter();
    try {
      return call.landed(flights.call(key, mine -> call.perform(() -> work.perform(mine))));
    } catch (Throwable failure) {
      call.failed(failure);
      throw failure;
    } finally {
      call.exit();
    }
  }

  @Override
  public <E extends Exception> V call(K key, Duration timeout, Work<? super K, ? extends V, E> work)
      throws E, InterruptedException, TimeoutException {
    requireNonNull(work, "work");
    Call call = calls.onAnyThread();
    call.enter();
    try {
      return call.landed(
          flights.call(key, timeout, mine -> call.perform(() -> work.perform(mine))));
    } catch (Throwable failure) {
      call.failed(failure);
      throw failure;
    } finally {
      call.exit();
    }
  }

  @Override
  public CompletableFuture<V> submit(K key, Work<? super K, ? extends V, ?> work) {
    requireNonNull(work, "work");
    return future(call -> flights.submit(key, mine -> perform(call, mine, work)));
  }

  /* Captures the exception of the work, which submit does not know. */
  private static <K, V extends @Nullable Object, E extends Exception> Landed<V> perform(
      Call call, K key, Work<? super K, ? extends V, E> work) throws E, InterruptedException {
    return call.perform(() -> work.perform(key));
  }

  @Override
  public CompletableFuture<V> callAsync(
      K key, Function<? super K, ? extends CompletionStage<? extends V>> work) {
    requireNonNull(work, "work");
    return future(
        call -> flights.callAsync(key, mine -> call.performAsync(() -> work.apply(mine))));
  }

  private CompletableFuture<V> future(Function<Call, CompletableFuture<Landed<V>>> seat) {
    Call call;
    try {
      call = calls.onAnyThread();
    } catch (Throwable ofAnAccessor) {
      return CompletableFuture.failedFuture(ofAnAccessor);
    }
    call.enter();
    try {
      return new OwnFuture<>(call, seat.apply(call));
    } finally {
      call.exit();
    }
  }

  @Override
  public <E extends Exception> Map<K, V> callAll(
      Collection<? extends K> keys, BatchWork<K, V, E> work) throws E, InterruptedException {
    requireNonNull(work, "work");
    Call call = calls.onThisThread();
    call.enter();
    try {
      return call.landedAll(
          flights.callAll(
              keys, asked -> eachLanded(asked, call.performAll(asked, () -> work.perform(asked)))));
    } catch (Throwable failure) {
      call.failed(failure);
      throw failure;
    } finally {
      call.exit();
    }
  }

  @SuppressWarnings("NullAway") // a null map is for the SingleFlight to refuse
  private static <K, V extends @Nullable Object> Map<K, Landed<V>> eachLanded(
      Set<K> asked, Landed<Map<? extends K, ? extends V>> answers) {
    Map<? extends K, ? extends V> values = answers.value();
    if (values == null) {
      return null;
    }
    Map<K, Landed<V>> landed = new HashMap<>();
    for (K key : asked) {
      if (values.containsKey(key)) {
        landed.put(key, new Landed<>(values.get(key), answers.execution()));
      }
    }
    return landed;
  }

  @Override
  public K currentKey() {
    return flights.currentKey();
  }

  @Override
  public boolean forget(K key) {
    return flights.forget(key);
  }

  @Override
  public List<InFlight<K>> inFlight() {
    return flights.inFlight();
  }
}
