package io.singleflight;

import java.util.concurrent.RejectedExecutionException;

/**
 * The failure of a call that found its flight full: see {@link
 * SingleFlight.Builder#maxFollowers(int) maxFollowers}. The flight itself goes on, and the caller
 * may try again.
 */
public class TooManyFollowersException extends RejectedExecutionException {

  private static final long serialVersionUID = 1;

  TooManyFollowersException(String message) {
    super(message);
  }
}
