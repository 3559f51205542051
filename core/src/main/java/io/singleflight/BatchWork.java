package io.singleflight;

import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The function that {@link SingleFlight#callAll callAll} brings along, to be performed for those
 * keys whose flights the call leads.
 *
 * <p>It is performed on the calling thread, outside every lock: once for all the keys whose flights
 * the call leads, and once more, for that key alone, for each joined flight that is handed to it.
 * An implementation need not be thread-safe unless it is given to several calls.
 *
 * @param <K> the type of the keys
 * @param <V> the type of the values
 * @param <E> the checked exception that the work throws besides {@code InterruptedException};
 *     {@code RuntimeException} if none
 */
@FunctionalInterface
public interface BatchWork<K, V extends @Nullable Object, E extends Exception> {

  /**
   * Computes the values for some of the keys of the call.
   *
   * @param keys the keys to ask for, unmodifiable, in the order of the call, never empty
   * @return the values by key; a key that is absent has no value, a null value is a value, a key
   *     that was not asked for is ignored; not null
   * @throws E if the values cannot be computed; it becomes the failure of each of the keys
   * @throws InterruptedException if the performing thread was interrupted, which is the leader's
   *     own failure: followers' works are performed instead
   */
  Map<? extends K, ? extends V> perform(Set<K> keys) throws E, InterruptedException;
}
