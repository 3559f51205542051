package io.singleflight;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The flights of an instance by key: a lock-free hash table that knows flights by identity. */
final class FlightTable<K, V extends @Nullable Object> {

  /*
   * A slot holds all the flights of its hashes in one word: null for none, the flight itself for
   * one, an array that is never written again for several. Whoever changes a slot replaces the whole
   * word by a CAS, so a successful CAS proves that what was read is what was replaced; nothing is
   * ever unlinked in the middle. Keys are compared before the CAS, outside every lock. A flight
   * keeps the hash that it was registered under: it is removed by identity from that slot, whatever
   * became of its key.
   *
   * A flight that stands in its slot itself, without an array, is its leader's alone: who wants
   * aboard puts it into an array first, if only of one, and nothing ever takes it out of that
   * again. So a lone leader lands by one CAS: if it takes the flight itself out of the slot, nobody
   * was aboard and nobody will be. In an array, the state of the flight decides.
   *
   * Growing follows the freezable sets of Liu, Zhang and Spear, "Dynamic-Sized Nonblocking Hash
   * Tables" (PODC 2014): the slots of the larger table begin UNSET. Who meets one first seals the
   * slot of the smaller table that it comes from, and then adopts its share of what was sealed. All
   * who adopt compute the same, and whoever meets a sealed slot turns to the larger table.
   */

  private static final int INITIAL_SLOTS = 1024;
  private static final int MAX_SLOTS = 1 << 26;
  private static final int SAMPLE = 64;

  private static final VarHandle SLOT = MethodHandles.arrayElementVarHandle(Object[].class);
  private static final Object UNSET = new Object();

  private record Sealed(@Nullable Object content) {}

  private static final class Slots {
    final @Nullable Object[] array;
    volatile @Nullable Slots smaller;

    Slots(int length, @Nullable Slots smaller) {
      array = new @Nullable Object[length];
      this.smaller = smaller;
      if (smaller != null) {
        Arrays.fill(array, UNSET);
      }
    }

    int indexOf(int hash) {
      return (hash ^ (hash >>> 16)) & (array.length - 1);
    }

    @Nullable Object read(int index) {
      Object content = SLOT.getVolatile(array, index);
      return content == UNSET ? adopt(index) : content;
    }

    boolean replace(int index, @Nullable Object old, @Nullable Object content) {
      return SLOT.compareAndSet(array, index, old, content);
    }

    private @Nullable Object adopt(int index) {
      Slots from = smaller;
      if (from != null) {
        int origin = index & (from.array.length - 1);
        Object content = from.read(origin);
        while (!(content instanceof Sealed)) {
          from.replace(origin, content, new Sealed(content));
          content = from.read(origin);
        }
        replace(index, UNSET, shareOf(index, ((Sealed) content).content()));
      }
      return SLOT.getVolatile(array, index);
    }

    private @Nullable Object shareOf(int index, @Nullable Object content) {
      if (content instanceof Flight<?, ?> only) {
        return indexOf(only.hash) == index ? only : null;
      }
      return arrayOf(
          flightsIn(content).stream().filter(each -> indexOf(each.hash) == index).toList());
    }
  }

  private volatile Slots slots = new Slots(INITIAL_SLOTS, null);

  /** Returns the flight registered for a key, or null. */
  @Nullable Flight<K, V> find(K key, int hash) {
    while (true) {
      Slots current = slots;
      Object content = current.read(current.indexOf(hash));
      if (!(content instanceof Sealed)) {
        return match(content, key, hash);
      }
    }
  }

  /** Registers a flight unless its key has one; returns the one that is registered then. */
  Flight<K, V> insert(Flight<K, V> flight) {
    while (true) {
      Slots current = slots;
      int index = current.indexOf(flight.hash);
      Object content = current.read(index);
      if (content == null) {
        if (current.replace(index, null, flight)) {
          return flight;
        }
      } else if (!(content instanceof Sealed)) {
        Flight<K, V> registered = match(content, flight.key, flight.hash);
        if (registered != null) {
          return registered;
        }
        // First: there may be no memory for it, and a flight that is registered is performed.
        growIfCrowded(current, index);
        if (current.replace(index, content, with(content, flight))) {
          return flight;
        }
      }
    }
  }

  /** Takes a flight that is registered from its leader alone; returns false if it has landed. */
  boolean share(Flight<K, V> flight) {
    while (true) {
      Slots current = slots;
      int index = current.indexOf(flight.hash);
      Object content = current.read(index);
      if (content != flight && !(content instanceof Sealed)) {
        return flightsIn(content).contains(flight);
      }
      if (content == flight && current.replace(index, flight, arrayOf(List.of(flight)))) {
        return true;
      }
    }
  }

  /** Removes a flight that nobody but its leader is aboard of; returns false if somebody may be. */
  boolean removeAlone(Flight<K, V> flight) {
    if (!flight.isAlone()) {
      return false;
    }
    Slots current = slots;
    if (current.replace(current.indexOf(flight.hash), flight, null)) {
      return true;
    }
    if (!flight.landAlone()) {
      return false;
    }
    remove(flight);
    return true;
  }

  /** Removes a flight, if it is registered. */
  void remove(Flight<K, V> flight) {
    replace(flight, null);
  }

  /** Puts a successor in the place of a flight, if that is registered; null removes it. */
  void replace(Flight<K, V> flight, @Nullable Flight<K, V> successor) {
    while (true) {
      Slots current = slots;
      int index = current.indexOf(flight.hash);
      Object content = current.read(index);
      if (!(content instanceof Sealed)) {
        Object after = content == flight ? successor : replaced(content, flight, successor);
        if (after == content || current.replace(index, content, after)) {
          return;
        }
      }
    }
  }

  /** Returns the flights that are registered; each is seen at its own moment. */
  List<Flight<K, V>> flights() {
    List<Flight<K, V>> all = new ArrayList<>();
    Slots current = slots;
    for (int index = 0; index < current.array.length; index++) {
      Object content = current.read(index);
      if (content instanceof Sealed) {
        return flights();
      }
      for (Flight<?, ?> flight : flightsIn(content)) {
        all.add(ours(flight));
      }
    }
    return all;
  }

  private @Nullable Flight<K, V> match(@Nullable Object content, K key, int hash) {
    if (content instanceof Flight<?, ?> only) {
      return matches(only, key, hash) ? ours(only) : null;
    }
    for (Flight<?, ?> flight : flightsIn(content)) {
      if (matches(flight, key, hash)) {
        return ours(flight);
      }
    }
    return null;
  }

  private static boolean matches(Flight<?, ?> flight, Object key, int hash) {
    return flight.hash == hash && (flight.key == key || key.equals(flight.key));
  }

  @SuppressWarnings("unchecked")
  private Flight<K, V> ours(Flight<?, ?> flight) {
    return (Flight<K, V>) flight;
  }

  // What a slot holds

  private static List<Flight<?, ?>> flightsIn(@Nullable Object content) {
    if (content == null) {
      return List.of();
    }
    return content instanceof Flight<?, ?> only
        ? List.of(only)
        : Arrays.asList((Flight<?, ?>[]) content);
  }

  private static @Nullable Object arrayOf(List<Flight<?, ?>> flights) {
    return flights.isEmpty() ? null : flights.toArray(Flight[]::new);
  }

  private static Object with(Object content, Flight<?, ?> flight) {
    List<Flight<?, ?>> flights = new ArrayList<>(flightsIn(content));
    flights.add(flight);
    return flights.toArray(Flight[]::new);
  }

  /** Returns the content itself if the flight is not in it. */
  private static @Nullable Object replaced(
      @Nullable Object content, Flight<?, ?> flight, @Nullable Flight<?, ?> successor) {
    List<Flight<?, ?>> flights = new ArrayList<>(flightsIn(content));
    int at = flights.indexOf(flight);
    if (at < 0) {
      return content;
    }
    if (successor != null) {
      flights.set(at, successor);
    } else {
      flights.remove(at);
    }
    return arrayOf(flights);
  }

  /*
   * A sample of slots, not the one crowded slot, decides: equal hash codes must not make it grow. It
   * is spread over the whole table, by an uneven step: nor must hash codes that lie close together.
   */
  private void growIfCrowded(Slots current, int index) {
    int length = current.array.length;
    int occupied = 0;
    for (int i = 0; i < SAMPLE; i++) {
      int other = (index + i * (length / SAMPLE + 1)) & (length - 1);
      Object content = SLOT.getVolatile(current.array, other);
      if (content != null && content != UNSET) {
        occupied++;
      }
    }
    if (occupied * 2 > SAMPLE) {
      grow(current);
    }
  }

  private synchronized void grow(Slots current) {
    if (slots != current || current.array.length >= MAX_SLOTS) {
      return;
    }
    Slots larger = new Slots(current.array.length * 2, current);
    slots = larger;
    for (int index = 0; index < larger.array.length; index++) {
      larger.read(index);
    }
    larger.smaller = null;
  }
}
