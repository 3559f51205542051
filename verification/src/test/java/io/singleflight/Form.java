package io.singleflight;

/**
 * Whether the short form of the verification runs, which is bound to the build, or the long one.
 */
final class Form {

  static final boolean LONG = System.getProperty("verification", "short").equals("long");

  private Form() {}
}
