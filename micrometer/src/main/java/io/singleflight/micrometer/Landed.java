package io.singleflight.micrometer;

import org.jspecify.annotations.Nullable;

/** A value, and the execution that found it. */
record Landed<V extends @Nullable Object>(V value, Execution execution) {}
