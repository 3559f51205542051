package io.singleflight;

import org.jspecify.annotations.Nullable;

/** A work that a thread performs, maybe inside another one. */
class Performance<K extends @Nullable Object> {

  final LocalSingleFlight<?, ?> instance;

  /** The key of the work; null in a batch. */
  final K key;

  /** The work inside which this one is performed; of the performing thread. */
  @Nullable Performance<?> outer;

  Performance(LocalSingleFlight<?, ?> instance, K key) {
    this.instance = instance;
    this.key = key;
  }
}
