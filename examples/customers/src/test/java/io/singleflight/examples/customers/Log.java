package io.singleflight.examples.customers;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;

/** What the service writes to its log, which is the standard error, until it is closed. */
final class Log implements AutoCloseable {
  private final PrintStream usual = System.err;
  private final ByteArrayOutputStream written = new ByteArrayOutputStream();

  Log() {
    System.setErr(new PrintStream(written, true, UTF_8));
  }

  String text() {
    return written.toString(UTF_8);
  }

  @Override
  public void close() {
    System.setErr(usual);
  }
}
