package io.singleflight.contract;

import io.singleflight.Freshness;
import java.util.Arrays;
import java.util.stream.Stream;

/** Who leads, who follows, from which kind of thread, in which freshness. */
public record Case(Kind leader, Kind follower, Freshness freshness, Threads threads) {

  static final String ALL = "io.singleflight.contract.Case#all";
  static final String MODES = "io.singleflight.contract.Case#modes";
  static final String LEADERS = "io.singleflight.contract.Case#leaders";
  static final String LEAVABLE = "io.singleflight.contract.Case#leavable";
  static final String LEAVABLE_LEADERS = "io.singleflight.contract.Case#leavableLeaders";
  static final String BLOCKING_LEADERS = "io.singleflight.contract.Case#blockingLeaders";
  static final String TIMED_LEADERS = "io.singleflight.contract.Case#timedLeaders";
  static final String RUNNING = "io.singleflight.contract.Case#running";
  static final String LEAVABLE_RUNNING = "io.singleflight.contract.Case#leavableRunning";
  static final String NEXT = "io.singleflight.contract.Case#next";
  static final String LEAVABLE_NEXT = "io.singleflight.contract.Case#leavableNext";

  static Stream<Case> all() {
    return Arrays.stream(Kind.values())
        .flatMap(leader ->
            Arrays.stream(Kind.values())
                .flatMap(follower ->
                    Arrays.stream(Freshness.values())
                        .flatMap(freshness ->
                            Threads.available().stream()
                                .map(threads -> new Case(leader, follower, freshness, threads)))));
  }

  /** One case for each freshness and kind of thread. */
  static Stream<Case> modes() {
    return leaders().filter(each -> each.leader == Kind.CALL);
  }

  /** One case for each kind of leader. */
  static Stream<Case> leaders() {
    return all().filter(each -> each.leader == each.follower);
  }

  /** Those whose leader can leave while its work goes on. */
  static Stream<Case> leavable() {
    return all().filter(each -> each.leader.canLeaveAsLeader());
  }

  static Stream<Case> leavableLeaders() {
    return leaders().filter(each -> each.leader.canLeaveAsLeader());
  }

  static Stream<Case> blockingLeaders() {
    return leaders().filter(each -> each.leader.blocks());
  }

  static Stream<Case> timedLeaders() {
    return leaders().filter(each -> each.leader == Kind.TIMED_CALL);
  }

  static Stream<Case> running() {
    return all().filter(each -> each.freshness == Freshness.RUNNING);
  }

  static Stream<Case> leavableRunning() {
    return running().filter(each -> each.leader.canLeaveAsLeader());
  }

  static Stream<Case> next() {
    return all().filter(each -> each.freshness == Freshness.NEXT);
  }

  static Stream<Case> leavableNext() {
    return next().filter(each -> each.leader.canLeaveAsLeader());
  }
}
