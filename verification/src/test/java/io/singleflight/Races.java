package io.singleflight;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.III_Result;
import org.openjdk.jcstress.infra.results.II_Result;
import org.openjdk.jcstress.infra.results.IZI_Result;
import org.openjdk.jcstress.infra.results.IZ_Result;
import org.openjdk.jcstress.infra.results.ZII_Result;
import org.openjdk.jcstress.infra.results.ZZI_Result;
import org.openjdk.jcstress.infra.results.ZZ_Result;

/**
 * The races that matter, two actors each. Every work answers the number of its caller; the flight
 * that is there before the actors start answers 1. A future that is not completed is a 0, a
 * cancelled one -1, a failed one -2. The last figure is the number of flights that are left over.
 *
 * <p>One race alone: {@code ./mvnw -pl verification -am test -Dtest=RacesTest
 * -Dsurefire.failIfNoSpecifiedTests=false -Drace=JoinAgainstLand}. All, in the long form: the same
 * with {@code -Dverification=long} instead of {@code -Drace}.
 */
public final class Races {

  private static final int KEY = 7;
  private static final int OPEN = 0;
  private static final int CANCELLED = -1;
  private static final int FAILED = -2;
  private static final Duration LONG = Duration.ofSeconds(2);

  private Races() {}

  /** A flight of key {@link #KEY} that is in progress until its stage is completed. */
  public abstract static class Flown {
    final AtomicLong clock = new AtomicLong();
    final SingleFlight<Integer, Integer> flights;
    final CompletableFuture<Integer> stage = new CompletableFuture<>();
    final CompletableFuture<Integer> leader;

    Flown(SingleFlight.Builder<Integer, Integer> options) {
      flights = options.build(clock::get, Runnable::run);
      leader = flights.callAsync(KEY, key -> stage);
    }

    final CompletableFuture<Integer> submit(int answer) {
      return flights.submit(KEY, key -> answer);
    }

    final int leftOver() {
      return flights.inFlight().size();
    }
  }

  private static SingleFlight.Builder<Integer, Integer> running() {
    return SingleFlight.builder();
  }

  private static SingleFlight.Builder<Integer, Integer> next() {
    return SingleFlight.<Integer, Integer>builder().freshness(Freshness.NEXT);
  }

  /** A call that is not interrupted, nor meant to time out. */
  interface Calling {
    int answer() throws InterruptedException, TimeoutException;
  }

  static int answerOf(Calling call) {
    try {
      return call.answer();
    } catch (FlightDeadlockException | InterruptedException | TimeoutException failure) {
      return FAILED;
    }
  }

  static int valueOf(CompletableFuture<Integer> future) {
    if (future.isCancelled()) {
      return CANCELLED;
    }
    return future.isCompletedExceptionally() ? FAILED : future.getNow(OPEN);
  }

  /** Two callers meet cold: they share the execution of one, or the one began after the other. */
  @JCStressTest
  @Outcome(id = "1, 1, 0", expect = ACCEPTABLE, desc = "the second joined the first")
  @Outcome(id = "2, 2, 0", expect = ACCEPTABLE, desc = "the first joined the second")
  @Outcome(id = "1, 2, 0", expect = ACCEPTABLE, desc = "one had landed before the other began")
  @Outcome(expect = FORBIDDEN, desc = "a value of a flight that was not there")
  @State
  public static class JoinAgainstLand {
    private final SingleFlight<Integer, Integer> flights = SingleFlight.create();

    @Actor
    public void one(III_Result r) {
      r.r1 = answerOf(() -> flights.call(KEY, key -> 1));
    }

    @Actor
    public void two(III_Result r) {
      r.r2 = answerOf(() -> flights.call(KEY, key -> 2));
    }

    @Arbiter
    public void after(III_Result r) {
      r.r3 = flights.inFlight().size();
    }
  }

  /** A follower leaves while the flight lands: it has left, or has the value; the leader has it. */
  @JCStressTest
  @Outcome(id = "1, 1, 0", expect = ACCEPTABLE, desc = "landed first")
  @Outcome(id = "-1, 1, 0", expect = ACCEPTABLE, desc = "left first")
  @Outcome(expect = FORBIDDEN, desc = "a caller without an end, or the wrong one")
  @State
  public static class LeaveAgainstLand extends Flown {
    private final CompletableFuture<Integer> follower = submit(2);

    public LeaveAgainstLand() {
      super(running());
    }

    @Actor
    public void land() {
      stage.complete(1);
    }

    @Actor
    public void leave() {
      follower.cancel(true);
    }

    @Arbiter
    public void after(III_Result r) {
      r.r1 = valueOf(follower);
      r.r2 = valueOf(leader);
      r.r3 = leftOver();
    }
  }

  /** The last caller leaves while the flight lands: landed or abandoned, told once. */
  @JCStressTest
  @Outcome(id = "1, 1, 0", expect = ACCEPTABLE, desc = "landed first")
  @Outcome(id = "-1, 1, 0", expect = ACCEPTABLE, desc = "left first")
  @Outcome(expect = FORBIDDEN, desc = "ended twice or never")
  @State
  public static class LastLeaveAgainstLand {
    private final AtomicInteger ends = new AtomicInteger();
    private final CompletableFuture<Integer> stage = new CompletableFuture<>();
    private final SingleFlight<Integer, Integer> flights =
        SingleFlight.<Integer, Integer>builder()
            .listener(
                new FlightListener<>() {
                  @Override
                  public void ended(Integer key, Ending ending, Duration duration, int callers) {
                    ends.incrementAndGet();
                  }
                })
            .build();
    private final CompletableFuture<Integer> leader = flights.callAsync(KEY, key -> stage);

    @Actor
    public void land() {
      stage.complete(1);
    }

    @Actor
    public void leave() {
      leader.cancel(true);
    }

    @Arbiter
    public void after(III_Result r) {
      r.r1 = valueOf(leader);
      r.r2 = ends.get();
      r.r3 = flights.inFlight().size();
    }
  }

  /**
   * The leader fails for a reason of its own while the follower that is first in line leaves. If
   * its work had begun, that is shared, whether its caller is still there or not; else the next in
   * line performs. Nobody is left without, and a work that waits for a thread goes with its caller.
   */
  @JCStressTest
  @Outcome(id = "2, 2, 0", expect = ACCEPTABLE, desc = "handed off, and shared")
  @Outcome(id = "-1, 2, 0", expect = ACCEPTABLE, desc = "left when its work had begun")
  @Outcome(id = "-1, 3, 0", expect = ACCEPTABLE, desc = "left before: the next one performs")
  @Outcome(expect = FORBIDDEN, desc = "the hand-off was lost, or happened twice")
  @State
  public static class LeaveAgainstHandOff extends Flown {
    private final CompletableFuture<Integer> first = submit(2);
    private final CompletableFuture<Integer> second = submit(3);

    public LeaveAgainstHandOff() {
      super(running());
    }

    @Actor
    public void fail() {
      stage.completeExceptionally(new InterruptedException());
    }

    @Actor
    public void leave() {
      first.cancel(true);
    }

    @Arbiter
    public void after(III_Result r) {
      r.r1 = valueOf(first);
      r.r2 = valueOf(second);
      r.r3 = leftOver() + (valueOf(leader) == FAILED ? 0 : 100);
    }
  }

  /**
   * One forgets and calls again, one calls: the fence holds for the first; the second may be early.
   */
  @JCStressTest
  @Outcome(id = "2, 1, 0", expect = ACCEPTABLE, desc = "the second joined before the fence")
  @Outcome(id = "2, 2, 0", expect = ACCEPTABLE, desc = "the second joined the new flight")
  @Outcome(id = "2, 3, 0", expect = ACCEPTABLE, desc = "one after the other")
  @Outcome(id = "3, 3, 0", expect = ACCEPTABLE, desc = "the first joined the second's new flight")
  @Outcome(expect = FORBIDDEN, desc = "joined what was forgotten")
  @State
  public static class ForgetAgainstJoin extends Flown {
    private CompletableFuture<Integer> one;
    private CompletableFuture<Integer> two;

    public ForgetAgainstJoin() {
      super(running());
    }

    @Actor
    public void forget() {
      flights.forget(KEY);
      one = submit(2);
    }

    @Actor
    public void join() {
      two = submit(3);
    }

    @Arbiter
    public void after(III_Result r) {
      stage.complete(1);
      r.r1 = valueOf(one);
      r.r2 = valueOf(two);
      r.r3 = leftOver();
    }
  }

  /** The last caller leaves while another comes: either it keeps the execution, or has its own. */
  @JCStressTest
  @Outcome(id = "false, 1, 0", expect = ACCEPTABLE, desc = "joined in time: nothing is cancelled")
  @Outcome(id = "true, 2, 0", expect = ACCEPTABLE, desc = "abandoned: a fresh flight")
  @Outcome(expect = FORBIDDEN, desc = "aboard an abandoned flight")
  @State
  public static class AbandonAgainstJoin extends Flown {
    private CompletableFuture<Integer> newcomer;

    public AbandonAgainstJoin() {
      super(running());
    }

    @Actor
    public void abandon() {
      leader.cancel(true);
    }

    @Actor
    public void join() {
      newcomer = submit(2);
    }

    @Arbiter
    public void after(ZII_Result r) {
      r.r1 = stage.isCancelled();
      stage.complete(1);
      r.r2 = valueOf(newcomer);
      r.r3 = leftOver();
    }
  }

  /** Two callers meet a flight that is too old: neither joins it, and it lands for its own. */
  @JCStressTest
  @Outcome(id = "2, 2, 1", expect = ACCEPTABLE, desc = "the second joined the first")
  @Outcome(id = "3, 3, 1", expect = ACCEPTABLE, desc = "the first joined the second")
  @Outcome(id = "2, 3, 1", expect = ACCEPTABLE, desc = "one after the other")
  @Outcome(expect = FORBIDDEN, desc = "joined the old flight, or lost it")
  @State
  public static class SupersedeAgainstJoin extends Flown {
    private CompletableFuture<Integer> one;
    private CompletableFuture<Integer> two;

    public SupersedeAgainstJoin() {
      super(running().maxJoinAge(Duration.ofNanos(10)));
      clock.set(11);
    }

    @Actor
    public void one() {
      one = submit(2);
    }

    @Actor
    public void two() {
      two = submit(3);
    }

    @Arbiter
    public void after(III_Result r) {
      stage.complete(1);
      r.r1 = valueOf(one);
      r.r2 = valueOf(two);
      r.r3 = valueOf(leader) + leftOver();
    }
  }

  /** A flight lands while others supersede it: it must not take its successor along. */
  @JCStressTest
  @Outcome(id = "3, 3, 1", expect = ACCEPTABLE, desc = "the successor is joined")
  @Outcome(expect = FORBIDDEN, desc = "the successor was evicted, or never came")
  @State
  public static class SupersedeAgainstLand extends Flown {
    private final CompletableFuture<Integer> successorStage = new CompletableFuture<>();
    private CompletableFuture<Integer> successor;

    public SupersedeAgainstLand() {
      super(running().maxJoinAge(Duration.ofNanos(10)));
      clock.set(11);
    }

    @Actor
    public void land() {
      stage.complete(1);
    }

    @Actor
    public void supersede() {
      successor = flights.callAsync(KEY, key -> successorStage);
    }

    @Arbiter
    public void after(III_Result r) {
      CompletableFuture<Integer> joiner = submit(2);
      successorStage.complete(3);
      r.r1 = valueOf(successor);
      r.r2 = valueOf(joiner);
      r.r3 = valueOf(leader) + leftOver();
    }
  }

  /**
   * Two works ask for each other's key. If both hold their own, at least one side sees the cycle,
   * whose failure ends both flights; otherwise one side had both keys, and shared or was alone.
   */
  @JCStressTest
  @Outcome(id = "1, 2, 0", expect = ACCEPTABLE, desc = "one after the other")
  @Outcome(id = "1, 1, 0", expect = ACCEPTABLE, desc = "the first had both keys")
  @Outcome(id = "2, 2, 0", expect = ACCEPTABLE, desc = "the second had both keys")
  @Outcome(id = "-2, -2, 0", expect = ACCEPTABLE, desc = "the cycle was seen")
  @Outcome(expect = FORBIDDEN, desc = "a cycle where there was none, or one that was not shared")
  @State
  public static class DeadlockFromBothSides {
    private final SingleFlight<Integer, Integer> flights = SingleFlight.create();

    @Actor
    public void one(III_Result r) {
      r.r1 = crossing(KEY, KEY + 1, 1);
    }

    @Actor
    public void two(III_Result r) {
      r.r2 = crossing(KEY + 1, KEY, 2);
    }

    private int crossing(int outer, int inner, int answer) {
      return answerOf(
          () -> flights.call(outer, key -> flights.<RuntimeException>call(inner, other -> answer)));
    }

    @Arbiter
    public void after(III_Result r) {
      r.r3 = flights.inFlight().size();
    }
  }

  /** NEXT: the running flight lands while a caller comes that finds nobody waiting. */
  @JCStressTest
  @Outcome(id = "2, 1, 0", expect = ACCEPTABLE, desc = "waited, or came after")
  @Outcome(expect = FORBIDDEN, desc = "shared the older execution, or was never promoted")
  @State
  public static class PromotionAgainstFirstWaiting extends Flown {
    private CompletableFuture<Integer> newcomer;

    public PromotionAgainstFirstWaiting() {
      super(next());
    }

    @Actor
    public void land() {
      stage.complete(1);
    }

    @Actor
    public void join() {
      newcomer = submit(2);
    }

    @Arbiter
    public void after(III_Result r) {
      r.r1 = valueOf(newcomer);
      r.r2 = valueOf(leader);
      r.r3 = leftOver();
    }
  }

  /** NEXT: the waiting flight is promoted while a caller comes: it waits there, or behind it. */
  @JCStressTest
  @Outcome(id = "2, 2, 0", expect = ACCEPTABLE, desc = "joined before it began")
  @Outcome(id = "2, 3, 0", expect = ACCEPTABLE, desc = "came after it had begun")
  @Outcome(expect = FORBIDDEN, desc = "shared an execution that had begun, or was never promoted")
  @State
  public static class PromotionAgainstJoin extends Flown {
    private final CompletableFuture<Integer> waiting = submit(2);
    private CompletableFuture<Integer> newcomer;

    public PromotionAgainstJoin() {
      super(next());
    }

    @Actor
    public void land() {
      stage.complete(1);
    }

    @Actor
    public void join() {
      newcomer = submit(3);
    }

    @Arbiter
    public void after(III_Result r) {
      r.r1 = valueOf(waiting);
      r.r2 = valueOf(newcomer);
      r.r3 = leftOver();
    }
  }

  /**
   * NEXT: the waiting flight is promoted while its first caller leaves. If its work had begun, the
   * second has the value of that; else the second performs its own.
   */
  @JCStressTest
  @Outcome(id = "2, 2, 0", expect = ACCEPTABLE, desc = "promoted, and shared")
  @Outcome(id = "-1, 2, 0", expect = ACCEPTABLE, desc = "left when its work had begun")
  @Outcome(id = "-1, 3, 0", expect = ACCEPTABLE, desc = "left before: the next in line performs")
  @Outcome(expect = FORBIDDEN, desc = "nobody performs, or two do")
  @State
  public static class PromotionAgainstLeave extends Flown {
    private final CompletableFuture<Integer> first = submit(2);
    private final CompletableFuture<Integer> second = submit(3);

    public PromotionAgainstLeave() {
      super(next());
    }

    @Actor
    public void land() {
      stage.complete(1);
    }

    @Actor
    public void leave() {
      first.cancel(true);
    }

    @Arbiter
    public void after(III_Result r) {
      r.r1 = valueOf(first);
      r.r2 = valueOf(second);
      r.r3 = leftOver();
    }
  }

  /** NEXT: the waiting flight is promoted while it is abandoned: the key is free afterwards. */
  @JCStressTest
  @Outcome(id = "2, 5, 0", expect = ACCEPTABLE, desc = "promoted first")
  @Outcome(id = "-1, 5, 0", expect = ACCEPTABLE, desc = "abandoned first")
  @Outcome(expect = FORBIDDEN, desc = "the key is blocked")
  @State
  public static class PromotionAgainstAbandon extends Flown {
    private final CompletableFuture<Integer> waiting = submit(2);

    public PromotionAgainstAbandon() {
      super(next());
    }

    @Actor
    public void land() {
      stage.complete(1);
    }

    @Actor
    public void leave() {
      waiting.cancel(true);
    }

    @Arbiter
    public void after(III_Result r) {
      r.r1 = valueOf(waiting);
      r.r2 = valueOf(submit(5));
      r.r3 = leftOver();
    }
  }

  /** NEXT: the running flight lands while both are forgotten: the waiting one runs, and once. */
  @JCStressTest
  @Outcome(id = "2, 1, 0", expect = ACCEPTABLE, desc = "whoever came first, it ran once")
  @Outcome(expect = FORBIDDEN, desc = "promoted twice or never")
  @State
  public static class PromotionAgainstForget extends Flown {
    private final AtomicInteger executions = new AtomicInteger();
    private final CompletableFuture<Integer> waiting =
        flights.submit(
            KEY,
            key -> {
              executions.incrementAndGet();
              return 2;
            });

    public PromotionAgainstForget() {
      super(next());
    }

    @Actor
    public void land() {
      stage.complete(1);
    }

    @Actor
    public void forget() {
      flights.forget(KEY);
    }

    @Arbiter
    public void after(III_Result r) {
      r.r1 = valueOf(waiting);
      r.r2 = executions.get();
      r.r3 = leftOver();
    }
  }

  /**
   * A follower goes to park while the flight lands. The park is long: a lost wake-up shows as a
   * call that takes all of it, and nothing else takes as long.
   */
  @JCStressTest
  @Outcome(id = "1, true", expect = ACCEPTABLE, desc = "joined, and was woken")
  @Outcome(id = "2, true", expect = ACCEPTABLE, desc = "came after the landing")
  @Outcome(expect = FORBIDDEN, desc = "slept on")
  @State
  public static class WakeUpAtLanding extends Flown {
    public WakeUpAtLanding() {
      super(running());
    }

    @Actor
    public void land() {
      stage.complete(1);
    }

    @Actor
    public void join(IZ_Result r) {
      long start = System.nanoTime();
      r.r1 = answerOf(() -> flights.call(KEY, LONG, key -> 2));
      r.r2 = System.nanoTime() - start < LONG.toNanos();
    }
  }

  /**
   * A follower goes to park while the flight is handed off: it is woken to perform. A lost wake-up
   * hangs, and the time limit of the whole run then ends it.
   */
  @JCStressTest
  @Outcome(id = "2, 0", expect = ACCEPTABLE, desc = "performed its own work")
  @Outcome(expect = FORBIDDEN, desc = "got the leader's own failure")
  @State
  public static class WakeUpAtHandOff extends Flown {
    public WakeUpAtHandOff() {
      super(running());
    }

    @Actor
    public void fail() {
      stage.completeExceptionally(new InterruptedException());
    }

    @Actor
    public void join(II_Result r) {
      r.r1 = answerOf(() -> flights.call(KEY, key -> 2));
    }

    @Arbiter
    public void after(II_Result r) {
      r.r2 = leftOver();
    }
  }

  /** NEXT: a caller goes to park behind the running flight while that lands: woken to perform. */
  @JCStressTest
  @Outcome(id = "2, true, 0", expect = ACCEPTABLE, desc = "performed its own work, at once")
  @Outcome(expect = FORBIDDEN, desc = "slept on, or shared the older execution")
  @State
  public static class WakeUpAtPromotion extends Flown {
    public WakeUpAtPromotion() {
      super(next());
    }

    @Actor
    public void land() {
      stage.complete(1);
    }

    @Actor
    public void join(IZI_Result r) {
      long start = System.nanoTime();
      r.r1 = answerOf(() -> flights.call(KEY, LONG, key -> 2));
      r.r2 = System.nanoTime() - start < LONG.toNanos();
    }

    @Arbiter
    public void after(IZI_Result r) {
      r.r3 = leftOver();
    }
  }

  /**
   * Who sees the outcome sees what the work wrote before. That the figure is read before too makes
   * the compiler remember it: it may do so across a plain read of the outcome, and then the second
   * read is stale.
   */
  @JCStressTest
  @Outcome(id = "0, false, 0", expect = ACCEPTABLE, desc = "nothing yet")
  @Outcome(id = "0, false, 1", expect = ACCEPTABLE, desc = "written, no outcome yet")
  @Outcome(id = "1, false, 1", expect = ACCEPTABLE, desc = "written, no outcome yet")
  @Outcome(id = "0, true, 1", expect = ACCEPTABLE, desc = "the outcome, and what was written")
  @Outcome(id = "1, true, 1", expect = ACCEPTABLE, desc = "the outcome, and what was written")
  @Outcome(expect = FORBIDDEN, desc = "the outcome, and not what was written before it")
  @State
  public static class WriteAgainstOutcome {
    private static final LocalSingleFlight<Integer, Integer> FLIGHTS =
        (LocalSingleFlight<Integer, Integer>) SingleFlight.<Integer, Integer>create();

    private final Flight<Integer, Integer> flight =
        new Line<>(FLIGHTS, KEY, KEY, 0, Seat.<Integer, Integer>ofThread()).head();
    private int written;

    @Actor
    public void land() {
      written = 1;
      flight.publish(io.singleflight.Outcome.value(1));
    }

    @Actor
    public void look(IZI_Result r) {
      r.r1 = written;
      r.r2 = flight.outcome() != null;
      r.r3 = written;
    }
  }

  /** The same from outside: a call that returns the flight's value returns after its writes. */
  @JCStressTest
  @Outcome(id = "1, 1", expect = ACCEPTABLE, desc = "joined, and sees what was written")
  @Outcome(
      id = "2, 1",
      expect = ACCEPTABLE,
      desc = "came after the landing, hence after the writes")
  @Outcome(expect = FORBIDDEN, desc = "the value, and not what was written before it")
  @State
  public static class WriteAgainstReturn extends Flown {
    private int written;

    public WriteAgainstReturn() {
      super(running());
    }

    @Actor
    public void land() {
      written = 1;
      stage.complete(1);
    }

    @Actor
    public void join(II_Result r) {
      r.r1 = answerOf(() -> flights.call(KEY, key -> 2));
      r.r2 = written;
    }
  }

  /**
   * Two lines in one slot. The neighbour's leader lands alone; then the other one's does, while
   * somebody comes aboard: one of the two finds it as it was.
   */
  @JCStressTest
  @Outcome(id = "true, false", expect = ACCEPTABLE, desc = "landed alone: nobody is aboard")
  @Outcome(id = "false, true", expect = ACCEPTABLE, desc = "somebody is aboard: it lands for both")
  @Outcome(expect = FORBIDDEN, desc = "somebody is aboard a flight that landed alone, or nobody")
  @State
  public static class BoardAgainstLandingAlone {
    private final LocalSingleFlight<Integer, Integer> flights =
        (LocalSingleFlight<Integer, Integer>) SingleFlight.<Integer, Integer>create();
    private final Line<Integer, Integer> alone = registered(KEY);
    private final Line<Integer, Integer> neighbour = registered(KEY + 1);

    private Line<Integer, Integer> registered(Integer key) {
      return flights.table.insert(new Line<>(flights, key, KEY, 0, Performer.current()));
    }

    @Actor
    public void land(ZZ_Result r) {
      neighbour.landAlone();
      r.r1 = alone.landAlone();
    }

    @Actor
    public void board(ZZ_Result r) {
      Seat<Integer, Integer> seat = Seat.ofThread();
      r.r2 = alone.board(seat, Integer.MAX_VALUE, Freshness.RUNNING) != Line.CLOSED;
    }
  }

  /** A leader lands alone while others crowd its slot until that splits, and one comes aboard. */
  @JCStressTest
  @Outcome(id = "true, false, 8", expect = ACCEPTABLE, desc = "landed alone: nobody is aboard")
  @Outcome(id = "false, true, 9", expect = ACCEPTABLE, desc = "somebody is aboard: not landed")
  @Outcome(expect = FORBIDDEN, desc = "lost on the way, or landed alone with somebody aboard")
  @State
  public static class SplitAgainstLandingAlone {
    private final LocalSingleFlight<Integer, Integer> flights =
        (LocalSingleFlight<Integer, Integer>) SingleFlight.<Integer, Integer>create();
    private final Line<Integer, Integer> alone = registered(0);

    private Line<Integer, Integer> registered(Integer key) {
      int hash = KEY + (key << 26);
      return flights.table.insert(new Line<>(flights, key, hash, 0, Performer.current()));
    }

    @Actor
    public void land(ZZI_Result r) {
      r.r1 = alone.landAlone();
    }

    @Actor
    public void crowdAndBoard(ZZI_Result r) {
      for (int other = 1; other <= FlightTable.CROWDED; other++) {
        registered(other);
      }
      Seat<Integer, Integer> seat = Seat.ofThread();
      r.r2 = alone.board(seat, Integer.MAX_VALUE, Freshness.RUNNING) != Line.CLOSED;
    }

    @Arbiter
    public void after(ZZI_Result r) {
      r.r3 = flights.table.lines().size();
    }
  }

  /** Who performs a flight alone is known all the while that another caller comes aboard. */
  @JCStressTest
  @Outcome(id = "true, true", expect = ACCEPTABLE, desc = "known: its own call would be told")
  @Outcome(expect = FORBIDDEN, desc = "not known for a moment: it could wait for itself")
  @State
  public static class BoardAgainstLookingForThePerformer {
    private final LocalSingleFlight<Integer, Integer> flights =
        (LocalSingleFlight<Integer, Integer>) SingleFlight.<Integer, Integer>create();
    private final Line<Integer, Integer> alone =
        flights.table.insert(new Line<>(flights, KEY, KEY, 0, Performer.current()));

    @Actor
    public void look(ZZ_Result r) {
      r.r1 = alone.performer() != null;
    }

    @Actor
    public void board(ZZ_Result r) {
      Seat<Integer, Integer> seat = Seat.ofThread();
      r.r2 = alone.board(seat, Integer.MAX_VALUE, Freshness.RUNNING) != Line.CLOSED;
    }
  }
}
