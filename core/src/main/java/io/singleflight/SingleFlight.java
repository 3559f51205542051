package io.singleflight;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Shares executions: concurrent callers that ask for the same key share one execution of a
 * function, and all get its result.
 *
 * <pre>{@code
 * SingleFlight<String, Customer> flights = SingleFlight.create();
 *
 * Customer customer = flights.call(name, key -> database.customerByName(key));
 * }</pre>
 *
 * <p>It is not a cache: once a flight has landed, no later call gets its outcome (P2). A failure
 * reaches every caller as the same instance (P6), and frees the key like a value does (P4).
 *
 * <p><b>Kinds of calls.</b> All kinds share one table of flights: a blocking caller joins an
 * asynchronous flight, and the other way round.
 *
 * <table class="striped">
 * <caption>Where the work runs, and how a caller leaves</caption>
 * <thead><tr><th scope="col">Method<th scope="col">The work runs<th scope="col">A caller may leave
 * by<th scope="col">When the last caller has gone</thead>
 * <tbody>
 * <tr><th scope="row">{@code call}<td>on the leader's own thread<td>a follower: interrupt; the
 * leader's interrupt goes to its work<td>cannot happen before the work ends
 * <tr><th scope="row">{@code call} with a timeout<td>on the executor<td>interrupt, timeout<td>the
 * work's thread is interrupted
 * <tr><th scope="row">{@code submit}<td>on the executor<td>cancelling or completing its own
 * future<td>the work's thread is interrupted
 * <tr><th scope="row">{@code callAsync}<td>the function on the leader's thread, then wherever its
 * stage completes<td>as {@code submit}<td>the stage is cancelled
 * <tr><th scope="row">{@code callAll}<td>on the leader's thread<td>interrupt<td>cannot happen
 * </tbody>
 * </table>
 *
 * <p><b>Hand-off.</b> If the leader's execution fails because its own thread was interrupted, the
 * failure is the leader's alone: the flight is handed off to a follower, which performs its own
 * work (P5). Nobody performs another caller's work. A caller whose turn comes later, because a
 * flight was handed to it or had to wait in {@link Freshness#NEXT}, performs its work on its own
 * thread if it is in {@code call} without a timeout or in {@code callAll}, and on the executor
 * otherwise.
 *
 * <p><b>Thread safety.</b> Instances are thread-safe. User code (works, listeners, callbacks of
 * futures, executors) runs outside every lock (P8).
 *
 * <p><b>Memory consistency effects.</b> Actions of the work <i>happen-before</i> every return of
 * its outcome, be it from a blocking call or through a future (P11).
 *
 * <p><b>Exceptions.</b> Every method throws {@code NullPointerException} if an argument is null,
 * and what the {@code hashCode} or {@code equals} of a key throw; nothing has been registered then,
 * or is any more: a batch gives up what it had registered. A follower gets the failure of the
 * leader's work: if callers bring works with different checked exceptions for one key, it may be of
 * a type that the follower's own work does not declare.
 *
 * @param <K> the type of the keys, with {@code equals} and {@code hashCode} by value
 * @param <V> the type of the values
 */
public interface SingleFlight<K, V extends @Nullable Object> {

  /**
   * Creates an instance with every option at its default.
   *
   * @param <K> the type of the keys
   * @param <V> the type of the values
   * @return a new instance
   */
  static <K, V extends @Nullable Object> SingleFlight<K, V> create() {
    return SingleFlight.<K, V>builder().build();
  }

  /**
   * Returns a builder with every option at its default.
   *
   * <pre>{@code
   * FlightStats stats = new FlightStats();
   * SingleFlight<String, Customer> flights =
   *     SingleFlight.<String, Customer>builder()
   *         .name("customers")
   *         .maxJoinAge(Duration.ofSeconds(5))
   *         .listener(stats)
   *         .build();
   * }</pre>
   *
   * @param <K> the type of the keys
   * @param <V> the type of the values
   * @return a new builder
   */
  static <K, V extends @Nullable Object> Builder<K, V> builder() {
    return new Builder<>();
  }

  /**
   * Joins the flight of a key, or leads a new one and performs the work on the calling thread, with
   * its thread locals and transactions intact.
   *
   * <p>A leader cannot leave: its thread is performing the work, which is what an interrupt
   * reaches.
   *
   * @param key the key
   * @param work the function to perform if this call leads
   * @param <E> the checked exception of the work
   * @return the value of the flight
   * @throws E if the flight failed; the instance that the work threw
   * @throws InterruptedException if the calling thread is interrupted on arrival or while it waits,
   *     or if its own work throws it
   * @throws FlightDeadlockException if the call could only wait for itself
   * @throws TooManyFollowersException if the flight is full
   */
  <E extends Exception> V call(K key, Work<? super K, ? extends V, E> work)
      throws E, InterruptedException;

  /**
   * Joins the flight of a key, or leads a new one whose work runs on the executor, and waits for at
   * most a given time, as the leader too.
   *
   * <p>A caller that runs out of time leaves; the work goes on for the others, and is interrupted
   * if there are none.
   *
   * <pre>{@code
   * try {
   *   customer = flights.call("ada", Duration.ofMillis(50), database::customerByName);
   * } catch (TimeoutException e) {
   *   customer = Customer.UNKNOWN; // however long the query still takes
   * }
   * }</pre>
   *
   * @param key the key
   * @param timeout how long to wait at most; zero or less fails at once and starts no work; a
   *     duration too long to count in nanoseconds is for ever
   * @param work the function to perform if this call leads
   * @param <E> the checked exception of the work
   * @return the value of the flight
   * @throws E if the flight failed; the instance that the work threw
   * @throws InterruptedException if the calling thread is interrupted on arrival or while it waits,
   *     or its own work has thrown it
   * @throws TimeoutException if the flight has not landed in time
   * @throws FlightDeadlockException if the call could only wait for itself
   * @throws TooManyFollowersException if the flight is full
   */
  <E extends Exception> V call(K key, Duration timeout, Work<? super K, ? extends V, E> work)
      throws E, InterruptedException, TimeoutException;

  /**
   * Joins the flight of a key, or leads a new one whose work runs on the executor.
   *
   * <p>The future is this caller's own: completing, cancelling or timing it out makes this caller
   * leave and reaches nobody else. All failures but those of a null argument, {@code hashCode} and
   * {@code equals} arrive through it. The leader's future is completed by the thread that lands the
   * flight, each follower's by a task on the executor.
   *
   * <pre>{@code
   * CompletableFuture<Customer> hasty = flights.submit("ada", database::customerByName);
   * CompletableFuture<Customer> patient = flights.submit("ada", database::customerByName);
   *
   * hasty.cancel(true); // the query goes on, and patient gets its result
   * }</pre>
   *
   * @param key the key
   * @param work the function to perform if this call leads
   * @return a future of the flight's outcome
   */
  CompletableFuture<V> submit(K key, Work<? super K, ? extends V, ?> work);

  /**
   * Joins the flight of a key, or leads a new one whose function is called on the calling thread
   * and whose outcome is that of the stage that it returns.
   *
   * <p>The future is this caller's own, as with {@link #submit submit}. A {@code
   * CompletionException} around the stage's failure is removed. A stage that is null is a {@code
   * NullPointerException}. When the last caller has left, the stage is cancelled by {@code
   * toCompletableFuture().cancel(true)}, as far as it can be: what depends on it without an
   * executor of its own then runs on that caller's thread. Of a future that others are given too,
   * return a {@code copy()}.
   *
   * <pre>{@code
   * CompletableFuture<Customer> customer =
   *     flights.callAsync("ada", key -> database.customerByNameAsync(key));
   * }</pre>
   *
   * @param key the key
   * @param work the function to call if this call leads
   * @return a future of the flight's outcome
   */
  CompletableFuture<V> callAsync(
      K key, Function<? super K, ? extends CompletionStage<? extends V>> work);

  /**
   * Asks for several keys: joins the flights of those that have one, leads one for each of the
   * others, and performs the work once, on the calling thread, for those it leads. It is performed
   * once more, for that key alone, for each flight that is handed to it, or whose turn comes in
   * {@link Freshness#NEXT}.
   *
   * <p>The flights that it leads land before it waits for those that it joined, so that crossing
   * batches cannot deadlock. A key for which the work has no value is absent from the answer, also
   * for other batches; a single caller that joined its flight gets null.
   *
   * <pre>{@code
   * Map<String, Customer> customers =
   *     flights.callAll(List.of("ada", "charles"), keys -> database.customersByName(keys));
   * }</pre>
   *
   * @param keys the keys; duplicates count once
   * @param work the function to perform for the keys that this call leads
   * @param <E> the checked exception of the work
   * @return the values by key, in the order of the keys, modifiable; without the keys for which the
   *     work had no value
   * @throws E if the work failed, or else a flight that this call joined: the first in the order of
   *     the keys
   * @throws InterruptedException if the calling thread is interrupted on arrival or while it waits,
   *     or if its own work throws it
   * @throws FlightDeadlockException if the call could only wait for itself
   */
  <E extends Exception> Map<K, V> callAll(Collection<? extends K> keys, BatchWork<K, V, E> work)
      throws E, InterruptedException;

  /**
   * Returns the key whose work of this instance the calling thread is performing, the innermost.
   * For listeners and {@code handOffOn}, the work that they are told of is over.
   *
   * @return the key object of the caller whose work it is; the works of other instances do not hide
   *     it
   * @throws IllegalStateException if the calling thread performs no work of this instance, or that
   *     of a batch
   */
  K currentKey();

  /**
   * Fences a key: no call that begins after this method has returned joins a flight that started
   * before (P10). The flight goes on for those aboard.
   *
   * <pre>{@code
   * database.save(new Customer("ada", 2));
   * flights.forget("ada");
   * Customer saved = flights.call("ada", database::customerByName); // sees ada's 2 orders
   * }</pre>
   *
   * <p>In {@link Freshness#NEXT} this detaches the running flight and the waiting one, which then
   * begins at once, as the next call does.
   *
   * @param key the key
   * @return whether there was a flight to detach
   */
  boolean forget(K key);

  /**
   * Returns the flights in progress, running and waiting, but not those forgotten, abandoned, or
   * replaced because of {@link Builder#maxJoinAge maxJoinAge}.
   *
   * @return a snapshot, unmodifiable, in no particular order
   */
  List<InFlight<K>> inFlight();

  /**
   * A builder of single-flights. Not thread-safe; it may be used to build several instances, which
   * share nothing.
   *
   * @param <K> the type of the keys
   * @param <V> the type of the values
   */
  final class Builder<K, V extends @Nullable Object> {

    String name = "singleflight";
    @Nullable Executor executor;
    Freshness freshness = Freshness.RUNNING;
    @Nullable Duration maxJoinAge;
    int maxFollowers = Integer.MAX_VALUE;
    Predicate<? super Throwable> handOffOn = failure -> false;
    final ArrayList<FlightListener<? super K>> listeners = new ArrayList<>();

    private Builder() {}

    /**
     * Names the instance in metrics, events, exceptions and thread names. Default: {@code
     * "singleflight"}.
     *
     * @param name the name
     * @return this builder
     * @throws IllegalArgumentException if the name is blank
     */
    public Builder<K, V> name(String name) {
      if (requireNonNull(name, "name").isBlank()) {
        throw new IllegalArgumentException("name is blank; give a name to tell instances apart by");
      }
      this.name = name;
      return this;
    }

    /**
     * Sets where {@code submit} and timed calls run their work, and where followers' futures are
     * completed. Wrap it to carry context. If it refuses or drops a work, that is the flight's
     * failure. An executor that runs tasks on the thread that hands them in, or has it wait for
     * room, takes the deadline away from a leader of a timed call, whose thread is then busy.
     * Default: a virtual thread per task where the JVM has them, else daemon threads; these inherit
     * no thread locals, and have the system class loader as their context class loader.
     *
     * @param executor the executor, which is not shut down by the instance
     * @return this builder
     */
    public Builder<K, V> executor(Executor executor) {
      this.executor = requireNonNull(executor, "executor");
      return this;
    }

    /**
     * Sets which execution may answer a call. Default: {@link Freshness#RUNNING}.
     *
     * @param freshness the freshness
     * @return this builder
     */
    public Builder<K, V> freshness(Freshness freshness) {
      this.freshness = requireNonNull(freshness, "freshness");
      return this;
    }

    /**
     * Sets the age after which a flight is no longer joined: the next caller starts a new one, and
     * the old one goes on for its own callers. One stuck flight then cannot take a key down. Not
     * together with {@link Freshness#NEXT}. Default: none.
     *
     * @param age the age
     * @return this builder
     * @throws IllegalArgumentException if the age is not more than zero
     */
    public Builder<K, V> maxJoinAge(Duration age) {
      if (requireNonNull(age, "maxJoinAge").isZero() || age.isNegative()) {
        throw new IllegalArgumentException("maxJoinAge is " + age + "; give more than zero");
      }
      this.maxJoinAge = age;
      return this;
    }

    /**
     * Sets how many followers a flight may have at a time: one more gets a {@link
     * TooManyFollowersException} at once. A follower that leaves frees its place; {@code callAll}
     * is never refused, but takes places. Default: no limit.
     *
     * @param max the number
     * @return this builder
     * @throws IllegalArgumentException if the number is less than zero
     */
    public Builder<K, V> maxFollowers(int max) {
      if (max < 0) {
        throw new IllegalArgumentException("maxFollowers is " + max + "; give zero or more");
      }
      this.maxFollowers = max;
      return this;
    }

    /**
     * Sets which failures are the leader's own and not the key's: the leader gets them, and the
     * flight is handed off. Its followers then each may fail in the same way, one after another:
     * name only failures that the next caller need not meet, such as a refused login of the
     * leader's user. A predicate that throws means no. Default: only the leader's own interruption,
     * which always counts.
     *
     * @param ownFailure tells whether a failure is the leader's own
     * @return this builder
     */
    public Builder<K, V> handOffOn(Predicate<? super Throwable> ownFailure) {
      this.handOffOn = requireNonNull(ownFailure, "handOffOn");
      return this;
    }

    /**
     * Adds a listener. May be given several times. Default: none.
     *
     * @param listener the listener
     * @return this builder
     */
    public Builder<K, V> listener(FlightListener<? super K> listener) {
      listeners.add(requireNonNull(listener, "listener"));
      return this;
    }

    /**
     * Creates an instance with these options.
     *
     * @return a new instance
     * @throws IllegalStateException if {@code maxJoinAge} and {@link Freshness#NEXT} are both set
     */
    public SingleFlight<K, V> build() {
      return build(System::nanoTime);
    }

    SingleFlight<K, V> build(LongSupplier nanoClock) {
      return build(nanoClock, DefaultExecutor.named(name));
    }

    SingleFlight<K, V> build(LongSupplier nanoClock, Executor standardExecutor) {
      if (freshness == Freshness.NEXT && maxJoinAge != null) {
        throw new IllegalStateException(
            "maxJoinAge is "
                + maxJoinAge
                + " with freshness NEXT, which never joins a running"
                + " flight; leave one of the two out");
      }
      return new LocalSingleFlight<>(this, nanoClock, standardExecutor);
    }
  }
}
