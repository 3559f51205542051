package io.singleflight;

import org.jspecify.annotations.Nullable;

/**
 * The function that a call brings along, to be performed if the call leads a flight.
 *
 * <p>It is performed at most once per call, outside every lock. Where the kind of call says that it
 * runs on the executor, its thread is not the caller's. An implementation need not be thread-safe
 * unless it is given to several calls.
 *
 * @param <K> the type of the key
 * @param <V> the type of the value
 * @param <E> the checked exception that the work throws besides {@code InterruptedException};
 *     {@code RuntimeException} if none
 */
@FunctionalInterface
public interface Work<K, V extends @Nullable Object, E extends Exception> {

  /**
   * Computes the value for a key.
   *
   * @param key the key object of the caller that brought this work along
   * @return the value, which may be null
   * @throws E if the value cannot be computed; every follower gets the same instance, so it should
   *     not be changed afterwards
   * @throws InterruptedException if the performing thread was interrupted, which is the leader's
   *     own failure: a follower's work is performed instead
   */
  V perform(K key) throws E, InterruptedException;
}
