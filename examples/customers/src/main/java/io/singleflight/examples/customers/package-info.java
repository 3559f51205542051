/**
 * An HTTP service that saves round trips to its database by sharing calls.
 *
 * <p>Start at {@link io.singleflight.examples.customers.Service}: its {@code customer} method is
 * all that a service has to do. {@link io.singleflight.examples.customers.CustomerDatabase} does
 * the slow work, {@link io.singleflight.examples.customers.Herd} sends the requests, and {@link
 * io.singleflight.examples.customers.Traffic} counts for the page.
 */
@NullMarked
package io.singleflight.examples.customers;

import org.jspecify.annotations.NullMarked;
