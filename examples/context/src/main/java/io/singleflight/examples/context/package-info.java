/** An example: thread locals and logging context wherever a work may run. */
@org.jspecify.annotations.NullMarked
package io.singleflight.examples.context;
