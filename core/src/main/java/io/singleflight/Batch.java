package io.singleflight;

import static java.util.Objects.requireNonNull;

import io.singleflight.FlightListener.Departure;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
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
   */

  private final LocalSingleFlight<K, V> flights;
  private final Map<K, Integer> hashes;
  private final BatchWork<K, V, E> work;
  private final Map<K, Flight<K, V>> led = new LinkedHashMap<>();
  private final Map<K, Seat<K, V>> joined = new LinkedHashMap<>();
  private final Map<K, Outcome<V>> outcomes = new LinkedHashMap<>();

  Batch(LocalSingleFlight<K, V> flights, Map<K, Integer> hashes, BatchWork<K, V, E> work) {
    this.flights = flights;
    this.hashes = hashes;
    this.work = work;
  }

  Map<K, V> call() throws E, InterruptedException {
    Departure departure = Departure.CANCELLED;
    try {
      Performance performance = new Performance(flights, null);
      hashes.forEach((key, hash) -> enter(key, hash, performance));
      if (!led.isEmpty()) {
        performLed(performance);
      }
      for (Map.Entry<K, Seat<K, V>> each : joined.entrySet()) {
        outcomes.put(each.getKey(), await(each.getKey(), each.getValue()));
      }
      return values();
    } catch (Throwable failure) {
      departure =
          failure instanceof InterruptedException ? Departure.INTERRUPTED : Departure.CANCELLED;
      led.values().forEach(flight -> flights.land(flight, Outcome.failure(failure)));
      throw failure;
    } finally {
      for (Seat<K, V> seat : joined.values()) {
        flights.leave(seat, departure);
      }
    }
  }

  private void enter(K key, int hash, Performance performance) {
    Flight<K, V> flight = flights.newFlight(key, hash, performance, null);
    Seat<K, V> seat = flights.enter(flight, Seat::ofBatch);
    if (seat == null) {
      led.put(key, flight);
    } else {
      joined.put(key, seat);
    }
  }

  private void performLed(Performance performance) {
    Outcome<Map<K, Outcome<V>>> answers = performance.perform(() -> ask(led.keySet()));
    led.forEach((key, flight) -> {
      Outcome<V> outcome = outcomeOf(key, answers);
      outcomes.put(key, outcome);
      flights.conclude(flight, outcome, performance.wasInterrupted());
    });
    led.clear();
    answers.get();
  }

  private Outcome<V> await(K key, Seat<K, V> seat) throws InterruptedException {
    seat.flight().attend(seat);
    Performance performance = new Performance(flights, null);
    Outcome<V> outcome = flights.awaitTurn(seat, performance);
    if (outcome == null) {
      outcome = outcomeOf(key, performance.perform(() -> ask(Set.of(key))));
      flights.conclude(seat.flight(), outcome, performance.wasInterrupted());
    }
    outcome.get();
    return outcome;
  }

  private Map<K, Outcome<V>> ask(Set<K> keys) throws E, InterruptedException {
    Map<? extends K, ? extends V> values =
        requireNonNull(
            work.perform(Collections.unmodifiableSet(new LinkedHashSet<>(keys))),
            "the map that the work returned");
    Map<K, Outcome<V>> answers = new LinkedHashMap<>();
    for (K key : keys) {
      V value = values.get(key);
      boolean absent = value == null && !values.containsKey(key);
      answers.put(key, absent ? Outcome.absentFromBatch() : Outcome.value(value));
    }
    return answers;
  }

  private Outcome<V> outcomeOf(K key, Outcome<Map<K, Outcome<V>>> answers) {
    return answers.failure() == null
        ? requireNonNull(answers.get().get(key))
        : Outcome.failure(answers.failure());
  }

  private Map<K, V> values() {
    Map<K, V> values = new LinkedHashMap<>();
    for (K key : hashes.keySet()) {
      Outcome<V> outcome = requireNonNull(outcomes.get(key));
      if (!outcome.absent()) {
        values.put(key, outcome.get());
      }
    }
    return values;
  }
}
