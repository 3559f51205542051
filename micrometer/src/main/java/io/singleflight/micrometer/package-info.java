/**
 * Shared calls seen at work: {@link io.singleflight.micrometer.FlightMeters} counts them, {@link
 * io.singleflight.micrometer.ObservedSingleFlight} traces them and carries each caller's context.
 *
 * <p>The terms (key, call, flight, leader, follower, land, leave, hand off) are those of {@link
 * io.singleflight}. The key is never a tag.
 */
@NullMarked
package io.singleflight.micrometer;

import org.jspecify.annotations.NullMarked;
