package io.singleflight.micrometer;

import io.micrometer.observation.Observation;

/** What the observation of an execution is about. */
final class FlightContext extends Observation.Context {

  final Execution execution = new Execution();
}
