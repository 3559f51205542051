package io.singleflight;

/** Which execution may answer a call: one that is running already, or only one yet to begin. */
public enum Freshness {

  /** A call joins the flight that is running for its key. */
  RUNNING,

  /**
   * A call's outcome comes from an execution that began after the call began (P3). At most one
   * flight of a key runs and at most one waits behind it; callers that arrive meanwhile share the
   * waiting one. For group commit, and for reading one's own writes.
   */
  NEXT
}
