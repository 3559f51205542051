package io.singleflight;

/** A key equal to a text, which does something each time before it is compared. */
record WatchedKey(String text, Runnable beforeEach) {

  @Override
  public int hashCode() {
    return text.hashCode();
  }

  @Override
  public boolean equals(Object other) {
    beforeEach.run();
    return text.equals(other);
  }
}
