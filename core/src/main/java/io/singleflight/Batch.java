package io.singleflight;

import static java.util.Objects.requireNonNull;

import io.singleflight.FlightListener.Departure;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** One call for several keys. */
final class Batch<K, V extends @Nullable Object, E extends Exception> {

  /*
   * The keys of a batch are registered or joined one after another; then its work is performed once
   * for those it leads, which land; only then does it wait for those it joined, one at a time. A
   * flight that it joined may be handed to it while it waits for that very one, and no earlier: a
   * thread cannot perform one flight while it waits for another. So two batches that cross never
   * wait for each other.
   *
   * All of it is one performance: user code that is called while later keys are registered, or told
   * of the first flight that lands, may wait for another one of this batch.
   */

  /** One of the keys: led, or joined and then with a seat. */
  private final class Part {
    final K key;
    final Line<K, V> line;
    final @Nullable Seat<K, V> seat;
    @Nullable Outcome<V> outcome;
    boolean concluded;

    Part(K key, int hash) {
      this.key = key;
      Line<K, V> fresh = new Line<>(flights, key, hash, flights.now(), performer);
      this.seat = flights.enter(fresh, Seat::ofBatch);
      this.line = seat == null ? fresh : seat.line();
    }
  }

  private final LocalSingleFlight<K, V> flights;
  private final BatchWork<K, V, E> work;
  private final Performer performer = Performer.current();
  private final List<Part> parts = new ArrayList<>();

  Batch(LocalSingleFlight<K, V> flights, BatchWork<K, V, E> work) {
    this.flights = flights;
    this.work = work;
  }

  Map<K, V> call(Map<K, Integer> hashes) throws E, InterruptedException {
    Departure departure = Departure.CANCELLED;
    Performance<@Nullable K> performance = new Performance<>(flights, null);
    performer.begin(performance);
    try {
      hashes.forEach((key, hash) -> parts.add(new Part(key, hash)));
      lead(parts.stream().filter(part -> part.seat == null).toList());
      for (Part part : parts) {
        if (part.seat != null) {
          follow(part, part.seat);
        }
      }
      return values();
    } catch (Throwable failure) {
      departure =
          failure instanceof InterruptedException ? Departure.INTERRUPTED : Departure.CANCELLED;
      for (Part part : parts) {
        if (part.seat == null && !part.concluded) {
          flights.conclude(part.line, null, Outcome.failure(failure), true);
        }
      }
      throw failure;
    } finally {
      for (Part part : parts) {
        if (part.seat != null) {
          flights.leave(part.seat, departure);
        }
      }
      performer.end(performance);
    }
  }

  private void lead(List<Part> led) {
    if (!led.isEmpty()) {
      perform(led);
      requireNonNull(led.get(0).outcome).get();
    }
  }

  private void follow(Part part, Seat<K, V> seat) throws InterruptedException {
    part.outcome = seat.awaitTurn(performer);
    if (part.outcome == null) {
      perform(List.of(part));
    }
    requireNonNull(part.outcome).get();
  }

  /** Has the work answer some of the keys, and concludes their flights. */
  private void perform(List<Part> asked) {
    ask(asked);
    for (Part part : asked) {
      flights.concludeHere(part.line, part.seat, requireNonNull(part.outcome));
      part.concluded = true;
    }
  }

  private void ask(List<Part> asked) {
    try {
      Set<K> keys = new LinkedHashSet<>();
      asked.forEach(part -> keys.add(part.key));
      Map<? extends K, ? extends V> values =
          requireNonNull(
              work.perform(Collections.unmodifiableSet(keys)), "the map that the work returned");
      asked.forEach(part -> part.outcome = answer(values, part.key));
    } catch (Throwable failure) {
      asked.forEach(part -> part.outcome = Outcome.failure(failure));
    }
  }

  private Outcome<V> answer(Map<? extends K, ? extends V> values, K key) {
    V value = values.get(key);
    boolean absent = value == null && !values.containsKey(key);
    return absent ? Outcome.absentFromBatch() : Outcome.value(value);
  }

  private Map<K, V> values() {
    Map<K, V> values = new LinkedHashMap<>();
    for (Part part : parts) {
      Outcome<V> outcome = requireNonNull(part.outcome);
      if (!outcome.absent()) {
        values.put(part.key, outcome.get());
      }
    }
    return values;
  }
}
