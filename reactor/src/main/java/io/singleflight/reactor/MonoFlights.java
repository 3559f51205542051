package io.singleflight.reactor;

import static java.util.Objects.requireNonNull;

import io.singleflight.SingleFlight;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Mono;
import reactor.util.context.ContextView;

/**
 * A {@link SingleFlight} for {@code Mono}s: concurrent subscribers of a key share one subscription
 * upstream, and all get its result.
 *
 * <pre>{@code
 * MonoFlights<String, Customer> flights = MonoFlights.over(SingleFlight.create());
 *
 * Mono<Customer> customer = flights.call("ada", name -> client.customerByName(name));
 * }</pre>
 *
 * <p>It keeps the promises of the {@code SingleFlight} beneath, whose options apply, and which may
 * be used directly at the same time: a blocking caller joins the flight of a subscriber, and the
 * other way round.
 *
 * <p>Instances are thread-safe. What upstream did <i>happens-before</i> each subscriber's signal.
 *
 * @param <K> the type of the keys, with {@code equals} and {@code hashCode} by value
 * @param <V> the type of the values
 */
public final class MonoFlights<K, V> {

  private final SingleFlight<K, V> flights;

  private MonoFlights(SingleFlight<K, V> flights) {
    this.flights = flights;
  }

  /**
   * Returns calls for {@code Mono}s that share the flights of an instance.
   *
   * @param flights the instance
   * @param <K> the type of the keys
   * @param <V> the type of the values
   * @return the calls of that instance
   */
  public static <K, V> MonoFlights<K, V> over(SingleFlight<K, V> flights) {
    return new MonoFlights<>(requireNonNull(flights, "flights"));
  }

  /**
   * Returns a {@code Mono} each subscription of which joins the flight of the key, or leads a new
   * one that subscribes to the work.
   *
   * <p>Nothing happens before a subscription, and each is a call of its own. One that is cancelled
   * leaves, and disturbs nobody; when the last has gone, upstream is cancelled, and the next
   * subscription subscribes to its own work.
   *
   * <p>The work is called, and subscribed to, on the thread of the leader's subscription and in the
   * leader's Reactor context. If the flight is handed off or had to wait in {@link
   * io.singleflight.Freshness#NEXT}, that is a thread of the executor, and the context of the
   * subscriber whose turn it is. A leader that is cancelled while its work is called does not
   * subscribe any more: a follower does, to its own work. If it is cancelled later, while a work
   * that blocks is being subscribed to, it leaves when that returns. An empty work is an empty
   * result for all, which blocking callers get as null.
   *
   * <p>The leader is signalled by the thread that upstream signals on, each follower by a task on
   * the executor of the {@code SingleFlight}: use {@code publishOn} to continue elsewhere. Each
   * signal arrives in its own subscriber's context.
   *
   * <pre>{@code
   * Mono<Customer> customer =
   *     flights
   *         .call("ada", client::customerByName)
   *         .timeout(Duration.ofMillis(50)) // who runs out of time leaves, the query goes on
   *         .publishOn(Schedulers.parallel());
   * }</pre>
   *
   * @param key the key
   * @param work the function to call if a subscription leads
   * @return a {@code Mono} of the flight's outcome; it fails with the instance that upstream failed
   *     with, with what {@code hashCode} or {@code equals} of the key throws, with {@code
   *     FlightDeadlockException} if the subscription could only wait for itself, and with {@code
   *     TooManyFollowersException} if the flight is full
   */
  public Mono<V> call(K key, Function<? super K, ? extends Mono<? extends V>> work) {
    requireNonNull(key, "key");
    requireNonNull(work, "work");
    return Mono.create(subscriber -> {
      Disposable.Swap seat = Disposables.swap();
      subscriber.onCancel(seat);
      AtomicBoolean seated = new AtomicBoolean();
      BooleanSupplier gone = () -> !seated.get() && seat.isDisposed();
      CompletableFuture<V> own =
          flights.callAsync(key, mine -> upstream(mine, work, gone, subscriber.contextView()));
      seated.set(true);
      seat.update(() -> own.cancel(true));
      own.whenComplete((value, failure) -> {
        if (seat.isDisposed()) {
          return;
        }
        if (failure == null) {
          subscriber.success(value);
        } else {
          subscriber.error(failure);
        }
      });
    });
  }

  private static <K, V> CompletionStage<V> upstream(
      K key,
      Function<? super K, ? extends Mono<? extends V>> work,
      BooleanSupplier leaderHasGone,
      ContextView context) {
    // Not deferred: what it throws with its thread's interrupt flag set is the leader's own.
    Mono<? extends V> found = requireNonNull(work.apply(key), "the Mono that the work returned");
    if (leaderHasGone.getAsBoolean()) {
      return CompletableFuture.failedFuture(new InterruptedException("cancelled by the leader"));
    }
    Upstream<V> upstream = new Upstream<>();
    found.contextWrite(context).subscribe(upstream);
    return upstream.stage;
  }

  /* Unlike that of Mono.toFuture, its cancellation is not lost if upstream is slow to start. */
  private static final class Upstream<V> extends BaseSubscriber<V> {

    final CompletableFuture<V> stage = new CompletableFuture<>();
    private @Nullable V value;

    Upstream() {
      stage.whenComplete((value, failure) -> cancel());
    }

    @Override
    protected void hookOnNext(V next) {
      value = next;
    }

    @Override
    @SuppressWarnings("NullAway") // null stands for an empty result
    protected void hookOnComplete() {
      stage.complete(value);
    }

    /* The core takes one CompletionException off what a stage fails with: not off upstream's own. */
    @Override
    protected void hookOnError(Throwable failure) {
      stage.completeExceptionally(
          failure instanceof CompletionException ? new CompletionException(failure) : failure);
    }
  }
}
