package io.singleflight.contract;

import io.singleflight.Freshness;
import java.util.Arrays;
import java.util.stream.Stream;

/** Who leads, who follows, from which kind of thread, in which freshness. */
public record Case(Kind leader, Kind follower, Freshness freshness, Threads threads) {

  static final String ALL = "io.singleflight.contract.Case#all";
  static final String LEADERS = "io.singleflight.contract.Case#leaders";
  static final String LEAVABLE = "io.singleflight.contract.Case#leavable";
  static final String LEAVABLE_LEADERS = "io.singleflight.contract.Case#leavableLeaders";

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
}
