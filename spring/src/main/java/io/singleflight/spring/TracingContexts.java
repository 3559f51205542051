package io.singleflight.spring;

import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;
import io.micrometer.tracing.handler.TracingObservationHandler.TracingContext;

/**
 * Gives each observation of a flight a tracing context from its start. Micrometer's meters ask for
 * one when it stops; but the span of a follower begins only then, so as to have its links.
 */
final class TracingContexts implements ObservationHandler<Observation.Context> {

  @Override
  public boolean supportsContext(Observation.Context context) {
    String name = context.getName();
    return name != null && name.startsWith("singleflight.");
  }

  @Override
  public void onStart(Observation.Context context) {
    context.computeIfAbsent(TracingContext.class, absent -> new TracingContext());
  }
}
