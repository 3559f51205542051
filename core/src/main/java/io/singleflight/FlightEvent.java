package io.singleflight;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/** The JFR event of a flight that ended. */
@Name("io.singleflight.Flight")
@Label("Flight")
@Category("singleflight")
@Description("A shared execution, from its registration until it landed or was abandoned")
@StackTrace(false)
final class FlightEvent extends Event {

  @Label("Name")
  @Nullable String name;

  @Label("Key")
  @Nullable String key;

  @Label("Outcome")
  @Nullable String outcome;

  @Label("Callers")
  int callers;

  /** Returns an event that has begun, or null while this event is not recorded. */
  static @Nullable FlightEvent begun() {
    FlightEvent event = new FlightEvent();
    if (!event.isEnabled()) {
      return null;
    }
    event.begin();
    return event;
  }

  void commit(Line<?, ?> line, FlightListener.Ending ending, int aboard) {
    end();
    if (shouldCommit()) {
      name = line.instance.name;
      key = LocalSingleFlight.textOf(line.key);
      outcome = ending.name();
      callers = aboard;
      commit();
    }
  }
}
