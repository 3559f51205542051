/**
 * Call sharing (single-flight, request coalescing): concurrent callers that ask for the same key
 * share one execution of a function, and all get its result. The entry point is {@link
 * io.singleflight.SingleFlight}.
 *
 * <pre>{@code
 * SingleFlight<String, Customer> flights = SingleFlight.create();
 *
 * Customer customer = flights.call(name, key -> database.customerByName(key));
 * }</pre>
 *
 * <p>The terms, used in this sense everywhere:
 *
 * <dl>
 *   <dt>key
 *   <dd>what a call asks for; calls whose keys are equal share a flight
 *   <dt>call
 *   <dd>one invocation of the library by a caller; begins at invocation, ends at return
 *   <dt>work
 *   <dd>the function that a call brings along
 *   <dt>flight
 *   <dd>one shared execution for one key, from its registration until it lands
 *   <dt>leader
 *   <dd>the caller whose work the flight performs; every other caller on it is a <em>follower</em>
 *   <dt>joinable
 *   <dd>a flight that newcomers may join; at most one per key at any moment
 *   <dt>land
 *   <dd>the flight stops being joinable, then its outcome is published, in that order
 *   <dt>outcome
 *   <dd>the value (null allowed) or the failure that the work ended in
 *   <dt>leave
 *   <dd>a caller stops waiting (interrupt, timeout, cancelled future) while the flight goes on
 *   <dt>abandon
 *   <dd>the last caller has left: the flight is unjoinable at once and its execution is cancelled
 *   <dt>hand off
 *   <dd>the leader's execution failed for a reason of its own; one follower performs its own work
 *       instead
 * </dl>
 *
 * <p>The promises P1 to P12 that the documentation of the types refers to are told in {@code
 * docs/guarantees.md}.
 */
@NullMarked
package io.singleflight;

import org.jspecify.annotations.NullMarked;
