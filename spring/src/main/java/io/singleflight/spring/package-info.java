/**
 * Call sharing for Spring Boot. The entry point is {@link io.singleflight.spring.SharedCall}:
 * concurrent callers of an annotated method with equal arguments share one invocation.
 *
 * <pre>{@code
 * @SharedCall
 * public Customer find(String name) {
 *   return database.customerByName(name);
 * }
 * }</pre>
 *
 * <p>Options of an instance are the properties {@code singleflight.instances.<name>.*}; {@link
 * io.singleflight.spring.SingleFlights} hands out the instances, and those with properties are
 * beans of their own. The terms are those of {@code io.singleflight}.
 */
@NullMarked
package io.singleflight.spring;

import org.jspecify.annotations.NullMarked;
