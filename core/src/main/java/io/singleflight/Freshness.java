package io.singleflight;

/**
 * Which execution may answer a call: one that is running already, or only one that is yet to begin.
 */
public enum Freshness {

  /**
   * A call joins the flight that is running for its key. What its work has read may be older than
   * the call.
   */
  RUNNING,

  /**
   * A call's outcome comes from an execution that began after the call began (P3). At most one
   * flight of a key runs and at most one waits behind it; callers that arrive meanwhile share the
   * waiting one. A caller may have to wait for two executions: the one that runs, and its own. For
   * group commit, and for reading one's own writes:
   *
   * <pre>{@code
   * SingleFlight<String, Customer> flights =
   *     SingleFlight.<String, Customer>builder().freshness(Freshness.NEXT).build();
   * // ...
   * database.save(new Customer("ada", 2));
   * Customer saved = flights.call("ada", database::customerByName); // sees ada's 2 orders
   * }</pre>
   */
  NEXT
}
