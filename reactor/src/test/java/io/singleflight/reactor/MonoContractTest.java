package io.singleflight.reactor;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.BatchWork;
import io.singleflight.InFlight;
import io.singleflight.SingleFlight;
import io.singleflight.Work;
import io.singleflight.contract.CallAllContract;
import io.singleflight.contract.DeadlockContract;
import io.singleflight.contract.FailureContract;
import io.singleflight.contract.FenceContract;
import io.singleflight.contract.IsolationContract;
import io.singleflight.contract.LandingContract;
import io.singleflight.contract.LeftoversContract;
import io.singleflight.contract.ListenerContract;
import io.singleflight.contract.LockContract;
import io.singleflight.contract.NextContract;
import io.singleflight.contract.OptionsContract;
import io.singleflight.contract.SingleFlightFactory;
import io.singleflight.contract.WakingContract;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Function;
import org.junit.jupiter.api.Nested;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Mono;

/**
 * Holds Monos to the contract: every asynchronous call is a subscription, and meets every kind of
 * blocking call and future on the same flights, as leader and as follower.
 */
class MonoContractTest {

  interface OfMonos extends SingleFlightFactory {
    @Override
    default <K, V> SingleFlight<K, V> create(Consumer<SingleFlight.Builder<K, V>> options) {
      SingleFlight.Builder<K, V> builder = SingleFlight.builder();
      options.accept(builder);
      return new Adapter<>(builder.build());
    }
  }

  @Nested
  class Landing extends LandingContract implements OfMonos {}

  @Nested
  class Isolation extends IsolationContract implements OfMonos {}

  @Nested
  class Failure extends FailureContract implements OfMonos {}

  @Nested
  class Deadlock extends DeadlockContract implements OfMonos {}

  @Nested
  class Lock extends LockContract implements OfMonos {}

  @Nested
  class Waking extends WakingContract implements OfMonos {}

  @Nested
  class Leftovers extends LeftoversContract implements OfMonos {}

  @Nested
  class Fence extends FenceContract implements OfMonos {}

  @Nested
  class Next extends NextContract implements OfMonos {}

  @Nested
  class CallAll extends CallAllContract implements OfMonos {}

  @Nested
  class Options extends OptionsContract implements OfMonos {}

  @Nested
  class Listener extends ListenerContract implements OfMonos {}

  /** A future of a subscription: whoever completes it cancels that. */
  private static final class Subscriber<V> extends CompletableFuture<V> {

    private final BaseSubscriber<V> subscription =
        new BaseSubscriber<>() {
          private V value;

          @Override
          protected void hookOnNext(V next) {
            value = next;
          }

          @Override
          protected void hookOnComplete() {
            complete(value);
          }

          @Override
          protected void hookOnError(Throwable failure) {
            completeExceptionally(failure);
          }
        };

    Subscriber(Mono<V> mono) {
      whenComplete((value, failure) -> subscription.cancel());
      mono.subscribe(subscription);
    }

    /* Leaving comes first: who has cancelled has left. */
    @Override
    public boolean cancel(boolean mayInterruptIfRunning) {
      subscription.cancel();
      return super.cancel(mayInterruptIfRunning);
    }

    @Override
    public void obtrudeValue(V value) {
      subscription.cancel();
      super.obtrudeValue(value);
    }

    @Override
    public void obtrudeException(Throwable failure) {
      subscription.cancel();
      super.obtrudeException(failure);
    }
  }

  private record Adapter<K, V>(SingleFlight<K, V> flights) implements SingleFlight<K, V> {

    @Override
    public CompletableFuture<V> callAsync(
        K key, Function<? super K, ? extends CompletionStage<? extends V>> work) {
      requireNonNull(work, "work");
      AtomicReference<Throwable> thrown = new AtomicReference<>();
      CompletableFuture<V> future =
          new Subscriber<>(
              MonoFlights.over(noting(thrown)).call(key, mine -> monoOf(work.apply(mine))));
      // A subscription throws nothing: its error signal has it.
      if (thrown.get() instanceof RuntimeException refused) {
        assertThat(future).isCompletedExceptionally();
        throw refused;
      }
      return future;
    }

    /** Returns the flights, and notes what they throw. */
    @SuppressWarnings("unchecked")
    private SingleFlight<K, V> noting(AtomicReference<Throwable> thrown) {
      return (SingleFlight<K, V>)
          Proxy.newProxyInstance(
              SingleFlight.class.getClassLoader(),
              new Class<?>[] {SingleFlight.class},
              (proxy, method, arguments) -> {
                try {
                  return method.invoke(flights, arguments);
                } catch (InvocationTargetException failed) {
                  thrown.set(failed.getCause());
                  throw failed.getCause();
                }
              });
    }

    private static <V> Mono<V> monoOf(CompletionStage<? extends V> stage) {
      return Mono.create(sink -> {
        sink.onCancel(() -> stage.toCompletableFuture().cancel(true));
        stage.whenComplete((value, failure) -> {
          if (failure == null) {
            sink.success(value);
          } else {
            sink.error(
                failure instanceof CompletionException && failure.getCause() != null
                    ? failure.getCause()
                    : failure);
          }
        });
      });
    }

    @Override
    public <E extends Exception> V call(K key, Work<? super K, ? extends V, E> work)
        throws E, InterruptedException {
      return flights.call(key, work);
    }

    @Override
    public <E extends Exception> V call(
        K key, Duration timeout, Work<? super K, ? extends V, E> work)
        throws E, InterruptedException, TimeoutException {
      return flights.call(key, timeout, work);
    }

    @Override
    public CompletableFuture<V> submit(K key, Work<? super K, ? extends V, ?> work) {
      return flights.submit(key, work);
    }

    @Override
    public <E extends Exception> Map<K, V> callAll(
        Collection<? extends K> keys, BatchWork<K, V, E> work) throws E, InterruptedException {
      return flights.callAll(keys, work);
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
}
