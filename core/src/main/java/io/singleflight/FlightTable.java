package io.singleflight;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/** The lines of an instance by key: a lock-free hash trie that knows lines by identity. */
final class FlightTable<K, V extends @Nullable Object> {

  /*
   * A slot holds all the lines of its hashes in one word: null for none, the line itself for one, an
   * array that is never written again for several; or, once these were crowded, finer slots, which
   * tell them apart by the next bits of their hashes (Bagwell, "Ideal Hash Trees", 2001) and stay
   * for good. Whoever changes a slot replaces the whole word by a CAS, so a successful CAS proves
   * that what was read is what was replaced; nothing is ever unlinked in the middle. Keys are
   * compared before the CAS, outside every lock. A line keeps the hash that it was registered under:
   * it is removed by identity from that slot, whatever became of its key.
   *
   * A line that stands in its slot itself, without an array, is not shared: who wants aboard puts it
   * into an array first, if only of one, and nothing ever takes it out of that again. So a leader
   * alone lands by one CAS: if it takes the line itself out of the slot, nobody was aboard and
   * nobody will be. In an array, the state of the line decides.
   */

  /** How many lines a slot may hold before it gives way to finer ones. */
  static final int CROWDED = 8;

  private static final int COARSE_BITS = 10;
  private static final int FINER_BITS = 6;
  private static final Line<?, ?>[] NONE = {};

  /** Slots for the bits of a hash from {@code shift} on. */
  private static final class Slots extends AtomicReferenceArray<@Nullable Object> {

    final int shift;
    final int bits;

    Slots(int shift, int bits) {
      super(1 << bits);
      this.shift = shift;
      this.bits = bits;
    }

    private int indexOf(int hash) {
      return ((hash ^ (hash >>> 16)) >>> shift) & (length() - 1);
    }

    @Nullable Object read(int hash) {
      return get(indexOf(hash));
    }

    boolean replace(int hash, @Nullable Object old, @Nullable Object content) {
      return compareAndSet(indexOf(hash), old, content);
    }

    /** Returns what a slot holds with one line more. */
    Object with(@Nullable Object content, Line<?, ?> line) {
      if (content == null) {
        return line;
      }
      List<Line<?, ?>> lines = new ArrayList<>(linesIn(content));
      lines.add(line);
      return lines.size() > CROWDED && shift + bits < Integer.SIZE
          ? finer(lines)
          : lines.toArray(Line[]::new);
    }

    private Slots finer(List<Line<?, ?>> lines) {
      Slots finer = new Slots(shift + bits, FINER_BITS);
      for (Line<?, ?> line : lines) {
        Object others = finer.read(line.hash);
        finer.set(finer.indexOf(line.hash), finer.with(others == null ? NONE : others, line));
      }
      return finer;
    }
  }

  private final Slots coarse = new Slots(0, COARSE_BITS);

  /** Returns the line registered for a key, or null. */
  @Nullable Line<K, V> find(K key, int hash) {
    Object content = coarse.read(hash);
    while (content instanceof Slots finer) {
      content = finer.read(hash);
    }
    return match(content, key, hash);
  }

  /** Registers a line unless its key has one; returns the one that is registered then. */
  Line<K, V> insert(Line<K, V> line) {
    Slots slots = coarse;
    while (true) {
      Object content = slots.read(line.hash);
      if (content instanceof Slots finer) {
        slots = finer;
        continue;
      }
      Line<K, V> registered = match(content, line.key, line.hash);
      if (registered != null) {
        return registered;
      }
      if (slots.replace(line.hash, content, slots.with(content, line))) {
        return line;
      }
    }
  }

  /** Shares a line with others than its leader; returns false if it is not registered any more. */
  boolean share(Line<K, V> line) {
    Slots slots = coarse;
    while (true) {
      Object content = slots.read(line.hash);
      if (content instanceof Slots finer) {
        slots = finer;
      } else if (content != line) {
        return linesIn(content).contains(line);
      } else if (slots.replace(line.hash, line, new Line<?, ?>[] {line})) {
        return true;
      }
    }
  }

  /** Removes a line that is not shared; returns false if it may be. */
  boolean removeUnshared(Line<K, V> line) {
    Slots slots = coarse;
    while (slots.read(line.hash) instanceof Slots finer) {
      slots = finer;
    }
    return slots.replace(line.hash, line, null);
  }

  /** Removes a line, if it is registered. */
  void remove(Line<K, V> line) {
    Slots slots = coarse;
    while (true) {
      Object content = slots.read(line.hash);
      if (content instanceof Slots finer) {
        slots = finer;
      } else if (!linesIn(content).contains(line)
          || slots.replace(line.hash, content, without(content, line))) {
        return;
      }
    }
  }

  /** Returns the lines that are registered; each is seen at its own moment. */
  List<Line<K, V>> lines() {
    List<Line<K, V>> all = new ArrayList<>();
    collect(coarse, all);
    return all;
  }

  private void collect(Slots slots, List<Line<K, V>> all) {
    for (int i = 0; i < slots.length(); i++) {
      Object content = slots.get(i);
      if (content instanceof Slots finer) {
        collect(finer, all);
      } else {
        linesIn(content).forEach(line -> all.add(ours(line)));
      }
    }
  }

  private @Nullable Line<K, V> match(@Nullable Object content, K key, int hash) {
    if (content instanceof Line<?, ?> only) {
      return matches(only, key, hash) ? ours(only) : null;
    }
    for (Line<?, ?> line : linesIn(content)) {
      if (matches(line, key, hash)) {
        return ours(line);
      }
    }
    return null;
  }

  private static boolean matches(Line<?, ?> line, Object key, int hash) {
    return line.hash == hash && (line.key == key || key.equals(line.key));
  }

  @SuppressWarnings("unchecked")
  private Line<K, V> ours(Line<?, ?> line) {
    return (Line<K, V>) line;
  }

  private static List<Line<?, ?>> linesIn(@Nullable Object content) {
    if (content == null) {
      return List.of();
    }
    return content instanceof Line<?, ?> only
        ? List.of(only)
        : Arrays.asList((Line<?, ?>[]) content);
  }

  private static @Nullable Object without(@Nullable Object content, Line<?, ?> line) {
    List<Line<?, ?>> lines = new ArrayList<>(linesIn(content));
    lines.remove(line);
    return lines.isEmpty() ? null : lines.toArray(Line[]::new);
  }
}
