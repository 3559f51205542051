package io.singleflight.benchmarks;

import java.util.Arrays;
import java.util.Collections;
import java.util.Random;

/** Keys whose neighbours in the array are no neighbours in the heap, walked round and round. */
final class Keys {

  private final String[] keys;
  private int next;

  private Keys(String[] keys) {
    this.keys = keys;
  }

  static String[] shuffled(int count) {
    String[] keys = new String[count];
    Arrays.setAll(keys, i -> "customer-" + i);
    Collections.shuffle(Arrays.asList(keys), new Random(count));
    return keys;
  }

  /** The share of one of several threads; a key that is alone belongs to all of them. */
  static Keys shareOf(String[] all, int thread, int threads) {
    return all.length == 1
        ? new Keys(all)
        : new Keys(
            Arrays.copyOfRange(
                all, all.length / threads * thread, all.length / threads * (thread + 1)));
  }

  String next() {
    String key = keys[next];
    next = next + 1 == keys.length ? 0 : next + 1;
    return key;
  }
}
