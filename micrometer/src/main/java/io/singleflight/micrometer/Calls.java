package io.singleflight.micrometer;

import io.micrometer.context.ContextSnapshotFactory;
import io.micrometer.observation.ObservationRegistry;
import io.singleflight.FlightListener;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.Collection;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import org.jspecify.annotations.Nullable;

/** The calls of one instance: who of them follows, and which execution an outcome is of. */
final class Calls implements FlightListener<Object> {

  /*
   * A follower learns the execution of a value together with the value. A failure must reach it as
   * the instance that it is, so the execution is remembered beside it for as long as it lives. One
   * that leaves has no outcome, and takes the execution of the flight's key: the object that the
   * flight is registered with, as listeners are told it, and by identity, as keys may change their
   * hash.
   */

  private static final ContextSnapshotFactory SNAPSHOTS =
      ContextSnapshotFactory.builder().clearMissing(true).build();

  final String name;
  final ObservationRegistry registry;
  final Guard guard = new Guard();

  /** The call that the current thread is about to take a seat for. */
  final ThreadLocal<@Nullable Call> entering = new ThreadLocal<>();

  private final ConcurrentMap<Identity, Execution> ofKeys = new ConcurrentHashMap<>();
  private final ConcurrentMap<Identity, Execution> ofFailures = new ConcurrentHashMap<>();
  private final ReferenceQueue<Object> forgotten = new ReferenceQueue<>();

  Calls(String name, ObservationRegistry registry) {
    this.name = name;
    this.registry = registry;
  }

  /** A call whose work only its own thread performs. */
  Call onThisThread() {
    return new Call(this, null);
  }

  /** A call whose work may be performed by another thread. */
  Call onAnyThread() {
    return new Call(this, SNAPSHOTS.captureAll());
  }

  @Override
  public void started(Object key) {
    Call call = entering.get();
    if (call != null) {
      call.started(key);
    }
  }

  @Override
  public void joined(Object key, int callers) {
    Call call = entering.get();
    if (call != null) {
      call.joined(key);
    }
  }

  void began(Collection<?> keys, Execution execution) {
    keys.forEach(key -> ofKeys.put(new Identity(key, null), execution));
  }

  void ended(Collection<?> keys, Execution execution) {
    execution.ended = true;
    keys.forEach(key -> ofKeys.remove(new Identity(key, null), execution));
  }

  @Nullable Execution ofKey(Object key) {
    return ofKeys.get(new Identity(key, null));
  }

  void failed(Throwable failure, Execution execution) {
    forget();
    ofFailures.put(new Identity(failure, forgotten), execution);
  }

  @Nullable Execution ofFailure(Throwable failure) {
    forget();
    return ofFailures.get(new Identity(failure, null));
  }

  private void forget() {
    Object collected = forgotten.poll();
    while (collected != null) {
      ofFailures.remove(collected);
      collected = forgotten.poll();
    }
  }

  private static final class Identity extends WeakReference<Object> {
    private final int hash;

    Identity(Object object, @Nullable ReferenceQueue<Object> queue) {
      super(object, queue);
      this.hash = System.identityHashCode(object);
    }

    @Override
    public int hashCode() {
      return hash;
    }

    @Override
    public boolean equals(@Nullable Object other) {
      Object mine = get();
      return this == other
          || (other instanceof Identity identity && mine != null && identity.refersTo(mine));
    }
  }
}
