package io.singleflight;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import io.singleflight.BrokenSingleFlight.Fault;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;
import org.openjdk.jcstress.infra.results.Z_Result;

/** Races that are lost: if these pass, {@link Races} proves nothing. */
public final class RaceCanaries {

  private RaceCanaries() {}

  /** Two callers find the table empty and both register: {@link Races.JoinAgainstLand}'s twin. */
  @JCStressTest
  @Outcome(id = "1, 1", expect = ACCEPTABLE, desc = "shared")
  @Outcome(id = "2, 2", expect = ACCEPTABLE, desc = "shared")
  @Outcome(expect = FORBIDDEN, desc = "two flights at once, or one after the other")
  @State
  public static class TwoLeaders {
    private final SingleFlight<Integer, Integer> flights =
        new BrokenSingleFlight<>(Fault.CHECK_THEN_ACT, new FlightListener<>() {}, failure -> false);

    @Actor
    public void one(II_Result r) {
      r.r1 = Races.answerOf(() -> flights.call(7, key -> 1));
    }

    @Actor
    public void two(II_Result r) {
      r.r2 = Races.answerOf(() -> flights.call(7, key -> 2));
    }
  }

  /** The waker looks for a sleeper before it publishes: {@link Races.WakeUpAtLanding}'s twin. */
  @JCStressTest
  @Outcome(id = "true", expect = ACCEPTABLE, desc = "woken, or never slept")
  @Outcome(expect = FORBIDDEN, desc = "slept on")
  @State
  public static class LostWakeUp {
    private volatile Thread sleeper;
    private volatile boolean landed;

    @Actor
    public void land() {
      Thread seen = sleeper;
      landed = true;
      if (seen != null) {
        LockSupport.unpark(seen);
      }
    }

    @Actor
    public void sleep(Z_Result r) {
      long start = System.nanoTime();
      long end = start + TimeUnit.SECONDS.toNanos(2);
      sleeper = Thread.currentThread();
      while (!landed && System.nanoTime() < end) {
        LockSupport.parkNanos(end - System.nanoTime());
      }
      r.r1 = System.nanoTime() < end;
    }
  }
}
