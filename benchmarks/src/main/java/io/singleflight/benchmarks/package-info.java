/** The library and its rivals, measured side by side: see {@code docs/benchmarks.md}. */
package io.singleflight.benchmarks;
