package io.singleflight.examples.customers;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.Recorder;
import org.jspecify.annotations.Nullable;

/** What the page draws: the last minute of requests, queries and latencies. Thread-safe. */
final class Traffic implements AutoCloseable {
  private static final Duration STEP = Duration.ofMillis(500);
  private static final int KEPT = 120;

  private final LongSupplier queries;
  private final AtomicLong received = new AtomicLong();
  private final AtomicLong answered = new AtomicLong();
  private final Recorder latencies = new Recorder(2);

  /* Guarded by this. */
  private final ArrayDeque<Sample> samples = new ArrayDeque<>();
  private double at = System.currentTimeMillis();
  private long sampledAt = System.nanoTime();
  private long sampledAnswered;
  private long sampledQueries;

  private final ScheduledExecutorService sampler =
      Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "traffic");
        thread.setDaemon(true);
        return thread;
      });

  Traffic(LongSupplier queries) {
    this.queries = queries;
    this.sampledQueries = queries.getAsLong();
    samples.add(new Sample(at, 0, 0, null, null));
    var unused =
        sampler.scheduleWithFixedDelay(
            this::sample, STEP.toMillis(), STEP.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** Counts a request in, and gives the time for {@link #answered}. */
  long received() {
    received.incrementAndGet();
    return System.nanoTime();
  }

  /** Counts a request out. */
  void answered(long receivedAt) {
    latencies.recordValue(Math.max(0, System.nanoTime() - receivedAt));
    answered.incrementAndGet();
  }

  long answered() {
    return answered.get();
  }

  long waiting() {
    return Math.max(0, received.get() - answered.get());
  }

  synchronized List<Sample> samples() {
    return List.copyOf(samples);
  }

  @Override
  public void close() {
    sampler.shutdownNow();
  }

  private synchronized void sample() {
    long now = System.nanoTime();
    long answeredNow = answered.get();
    long queriesNow = queries.getAsLong();
    double seconds = (now - sampledAt) / 1e9;
    at += seconds * 1_000;
    Histogram step = latencies.getIntervalHistogram();
    samples.add(
        new Sample(
            at,
            (answeredNow - sampledAnswered) / seconds,
            (queriesNow - sampledQueries) / seconds,
            millis(step, 50),
            millis(step, 99)));
    if (samples.size() > KEPT) {
      samples.remove();
    }
    sampledAt = now;
    sampledAnswered = answeredNow;
    sampledQueries = queriesNow;
  }

  private static @Nullable Double millis(Histogram step, double percentile) {
    return step.getTotalCount() == 0 ? null : step.getValueAtPercentile(percentile) / 1e6;
  }

  /**
   * What was counted since the sample before: answered requests and queries per second, latencies
   * in milliseconds.
   *
   * @param at the end of that time, in milliseconds since 1970
   */
  record Sample(
      double at, double requests, double queries, @Nullable Double p50, @Nullable Double p99) {}
}
