package io.singleflight.micrometer;

import static java.util.Objects.requireNonNull;
import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.micrometer.observation.Observation;
import io.micrometer.tracing.Link;
import io.micrometer.tracing.Span;
import io.micrometer.tracing.Tracer;
import io.micrometer.tracing.handler.DefaultTracingObservationHandler;
import io.micrometer.tracing.handler.TracingObservationHandler;

/**
 * Traces flights and their followers: a flight is a span, and so is a follower's wait, with a link
 * to the flight's. It must come before the {@code DefaultTracingObservationHandler}, which would
 * trace the same spans without the links:
 *
 * <pre>{@code
 * observations
 *     .observationConfig()
 *     .observationHandler(
 *         new FirstMatchingCompositeObservationHandler(
 *             new FlightTracingObservationHandler(tracer),
 *             new DefaultTracingObservationHandler(tracer)));
 * }</pre>
 *
 * <p>Instances are thread-safe.
 */
public final class FlightTracingObservationHandler
    implements TracingObservationHandler<Observation.Context> {

  /*
   * A tracer takes links only when a span begins, but which flight a follower got its outcome from
   * is known when its wait ends. So its span is begun then, with the time at which it should have.
   * Both its times come from one clock, or short waits could end before they began. Its parent is
   * looked up at the beginning, on the follower's own thread: the wait may end on any.
   */

  private final Tracer tracer;
  private final DefaultTracingObservationHandler standard;

  /**
   * Creates a handler.
   *
   * @param tracer the tracer
   */
  public FlightTracingObservationHandler(Tracer tracer) {
    this.tracer = requireNonNull(tracer, "tracer");
    this.standard = new DefaultTracingObservationHandler(tracer);
  }

  @Override
  public boolean supportsContext(Observation.Context context) {
    return context instanceof FlightContext || context instanceof FollowContext;
  }

  @Override
  public Tracer getTracer() {
    return tracer;
  }

  @Override
  public void onStart(Observation.Context context) {
    if (context instanceof FlightContext flight) {
      standard.onStart(context);
      flight.execution.link = new Link(getRequiredSpan(context));
    } else if (context instanceof FollowContext follow) {
      follow.parent = getParentSpan(follow);
      // Other handlers require one when the observation stops, though it has no span.
      getTracingContext(follow);
      follow.began();
    }
  }

  @Override
  public void onError(Observation.Context context) {
    if (context instanceof FlightContext) {
      standard.onError(context);
    }
  }

  @Override
  public void onStop(Observation.Context context) {
    if (context instanceof FlightContext) {
      standard.onStop(context);
    } else if (context instanceof FollowContext follow) {
      trace(follow);
    }
  }

  private void trace(FollowContext follow) {
    Span.Builder builder =
        tracer
            .spanBuilder()
            .name(getSpanName(follow))
            .startTimestamp(follow.startNanos(), NANOSECONDS);
    if (follow.parent instanceof Span parent) {
      builder.setParent(parent.context());
    } else {
      builder.setNoParent();
    }
    for (Execution execution : follow.executions) {
      if (execution.link instanceof Link link) {
        builder.addLink(link);
      }
    }
    Span span = builder.start();
    Throwable failure = follow.getError();
    if (failure != null) {
      span.error(failure);
    }
    tagSpan(follow, span);
    span.end(follow.endNanos(), NANOSECONDS);
  }
}
