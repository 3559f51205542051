package io.singleflight.contract;

/** The kinds of calls. */
public enum Kind {
  CALL,
  TIMED_CALL,
  SUBMIT,
  CALL_ASYNC,
  CALL_ALL;

  boolean blocks() {
    return this == CALL || this == TIMED_CALL || this == CALL_ALL;
  }

  boolean performsOnItsOwnThread() {
    return this == CALL || this == CALL_ALL;
  }

  /** Whether a leader can leave while its work goes on. */
  boolean canLeaveAsLeader() {
    return !performsOnItsOwnThread();
  }
}
