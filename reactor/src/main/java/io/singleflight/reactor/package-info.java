/**
 * Call sharing for Reactor. The entry point is {@link io.singleflight.reactor.MonoFlights}:
 * concurrent subscribers of a key share one subscription upstream, and all get its result.
 *
 * <p>The terms (key, call, flight, leader, follower, leave, hand off) are those of {@link
 * io.singleflight}. Here, a call begins with a subscription, and its work is a {@code Mono}.
 */
@NullMarked
package io.singleflight.reactor;

import org.jspecify.annotations.NullMarked;
