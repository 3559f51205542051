package io.singleflight.examples.customers;

import java.math.BigDecimal;

/**
 * A customer and the figures that the database works out from all orders.
 *
 * @param revenue the sum of this customer's orders
 * @param rank this customer's place among all customers by revenue, 1 being the highest
 */
record Customer(long id, String name, long orders, BigDecimal revenue, long rank) {}
