package io.singleflight.spring;

/** An identity that a thread knows its caller by, and that goes along to another thread. */
interface CallerContext extends CallerIdentity {

  /** Returns a task that runs the given one in the context of the calling thread. */
  Runnable carry(Runnable task);
}
