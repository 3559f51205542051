package io.singleflight.examples.spring;

/**
 * What a customer has ordered.
 *
 * @param customer the customer
 * @param orders how many orders
 * @param median the median of their amounts
 */
public record Report(String customer, long orders, double median) {}
