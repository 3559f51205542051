package io.singleflight.spring;

import java.util.function.UnaryOperator;

/** An identity that a thread knows its caller by, and that goes along to another thread. */
interface CallerContext extends CallerIdentity {

  /** Returns what makes of a task one that runs in the context of the calling thread. */
  UnaryOperator<Runnable> capture();
}
