package io.singleflight;

import io.singleflight.History.Call;
import io.singleflight.History.Execution;
import io.singleflight.History.Failure;
import io.singleflight.History.Forget;
import io.singleflight.History.Log;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Judges a history. Sound, given how {@link History} records: what it flags is a violation.
 *
 * <ul>
 *   <li><b>RETURN</b>: every call returned (no lost wake-up, no lost hand-off).
 *   <li><b>P1</b>: an outcome is that of an execution for the call's key that ended before the call
 *       returned.
 *   <li><b>P2</b>: of the calls that got one outcome, none began after another had returned it; a
 *       landed flight is joined no more. With P1 this is the overlap of call and flight.
 *   <li><b>P3</b>, in NEXT: an outcome is that of an execution that began after the call.
 *   <li><b>P5</b>: a failure that was the leader's own reached nobody else.
 *   <li><b>P6</b>: all who got the failure of one execution got the same instance; a call's work is
 *       performed at most once; and in RUNNING a call that joined a flight performs its work only
 *       after an execution for its key failed such that its flight was handed off, or a caller left
 *       before its work began, so that it was replaced if it led.
 *   <li><b>P7</b>: the work of a call that would have waited for itself was not performed.
 *   <li><b>P10</b>: no call that began after a forget had returned got the outcome of an execution
 *       that began before that forget did.
 *   <li><b>ONE</b>, at most one joinable flight: the executions for a key do not overlap, leaving
 *       out those whose flight may have become unjoinable before the execution ended. These are:
 *       the abandoned, taken to be all whose outcome nobody got; and the forgotten, taken to be all
 *       whose flight a forget for its key may have found, which is any forget that overlaps the
 *       time from the begin of the call that registered the flight to the end of the execution, and
 *       if that call is not known (the one whose work was performed had joined), any earlier
 *       forget. With {@code maxJoinAge} any flight may be superseded, and this rule says nothing.
 * </ul>
 */
final class Checker {

  enum Rule {
    RETURN,
    P1,
    P2,
    P3,
    P5,
    P6,
    P7,
    P10,
    ONE
  }

  record Violation(Rule rule, String story) {}

  private final Freshness freshness;
  private final boolean superseding;
  private final List<Violation> violations = new ArrayList<>();

  private Checker(Freshness freshness, boolean superseding) {
    this.freshness = freshness;
    this.superseding = superseding;
  }

  /** Judges what was done from one moment of quiet to the next. */
  static List<Violation> check(List<Log> logs, Freshness freshness, boolean superseding) {
    Checker checker = new Checker(freshness, superseding);
    Map<Integer, Log> byKey = new HashMap<>();
    for (Log log : logs) {
      for (Call call : log.calls) {
        byKey.computeIfAbsent(call.key, key -> new Log()).calls.add(call);
      }
      for (Forget forget : log.forgets) {
        byKey.computeIfAbsent(forget.key(), key -> new Log()).forgets.add(forget);
      }
    }
    byKey.values().forEach(checker::checkKey);
    return checker.violations;
  }

  private void checkKey(Log log) {
    log.forgets.sort(Comparator.comparingLong(Forget::begun));
    long[] earliestReturn = new long[log.forgets.size() + 1];
    earliestReturn[log.forgets.size()] = Long.MAX_VALUE;
    for (int i = log.forgets.size() - 1; i >= 0; i--) {
      earliestReturn[i] = Math.min(earliestReturn[i + 1], log.forgets.get(i).returned());
    }
    Map<Execution, Receivers> receivers = new IdentityHashMap<>();
    for (Call call : log.calls) {
      checkCall(call);
      Execution outcome = call.outcome;
      if (outcome != null) {
        receivers.computeIfAbsent(outcome, none -> new Receivers()).add(call);
        if (earliestReturn[firstAfter(log.forgets, outcome.begun)] < call.begun) {
          flag(Rule.P10, call + " began after the flight was forgotten, but got " + outcome);
        }
      }
    }
    receivers.forEach((execution, all) -> {
      if (all.lastBegin.begun > all.firstReturn.returned) {
        flag(Rule.P2, all.lastBegin + " joined what " + all.firstReturn + " had: " + execution);
      }
    });
    checkExecutions(log, receivers);
  }

  private void checkCall(Call call) {
    if (call.returned == 0) {
      flag(Rule.RETURN, call + " never returned");
    }
    if (call.executions.get() > 1) {
      flag(Rule.P6, call + " performed its work " + call.executions + " times");
    }
    if (call.failure instanceof FlightDeadlockException && call.executions.get() > 0) {
      flag(Rule.P7, call + " performed its work, and failed with " + call.failure);
    }
    Execution outcome = call.outcome;
    if (outcome == null) {
      return;
    }
    if (outcome.owner.key != call.key || outcome.ended == 0 || outcome.ended > call.returned) {
      flag(Rule.P1, call + " got " + outcome);
    }
    if (freshness == Freshness.NEXT && outcome.begun < call.begun) {
      flag(Rule.P3, call + " got the older " + outcome);
    }
    boolean leadersOwn =
        call.failure instanceof InterruptedException
            || (call.failure instanceof Failure failure && failure.own);
    if (leadersOwn && outcome.owner != call) {
      flag(Rule.P5, call + " got the leader's own " + call.failure + " of " + outcome);
    }
    if (call.failure != outcome.failure) {
      flag(Rule.P6, call + " got " + call.failure + " of " + outcome + ", not the instance thrown");
    }
  }

  private void checkExecutions(Log log, Map<Execution, Receivers> receivers) {
    List<Execution> executions = new ArrayList<>();
    long firstReplaced = Long.MAX_VALUE;
    for (Call call : log.calls) {
      if (call.execution != null) {
        executions.add(call.execution);
      } else if (call.outcome == null) {
        firstReplaced = Math.min(firstReplaced, call.begun);
      }
    }
    executions.sort(Comparator.comparingLong(each -> each.begun));
    long firstForget = log.forgets.isEmpty() ? Long.MAX_VALUE : log.forgets.get(0).begun();
    long firstNewLeader = firstReplaced;
    for (Execution each : executions) {
      if (each.mayHandOff) {
        firstNewLeader = Math.min(firstNewLeader, each.ended);
      }
    }
    Execution before = null;
    for (Execution each : executions) {
      if (freshness == Freshness.RUNNING && each.owner.joined && firstNewLeader > each.begun) {
        flag(Rule.P6, "joined a flight that was not handed off, yet performed: " + each);
      }
      if (superseding || !receivers.containsKey(each)) {
        continue;
      }
      boolean mayBeForgotten =
          each.owner.joined
              ? firstForget < each.ended
              : overlapsForget(log.forgets, each.owner.begun, each.ended);
      if (mayBeForgotten) {
        continue;
      }
      if (before != null && each.begun < before.ended) {
        flag(Rule.ONE, "two flights at once: " + before + " and " + each);
      }
      if (before == null || each.ended > before.ended) {
        before = each;
      }
    }
  }

  private static boolean overlapsForget(List<Forget> forgets, long from, long to) {
    for (int i = firstAfter(forgets, to) - 1; i >= 0; i--) {
      if (forgets.get(i).returned() > from) {
        return true;
      }
    }
    return false;
  }

  /** Returns the index of the first that began after a moment. */
  private static int firstAfter(List<Forget> sorted, long moment) {
    int low = 0;
    int high = sorted.size();
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (sorted.get(middle).begun() > moment) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  private void flag(Rule rule, String story) {
    violations.add(new Violation(rule, story));
  }

  /** Returns the execution for a key that a failure came from, or null if no work threw it. */
  static @Nullable Execution executionOf(Throwable failure, int key) {
    List<Execution> executions =
        failure instanceof Failure ours
            ? ours.executions
            : failure instanceof History.Interruption ours ? ours.executions : List.of();
    for (Execution each : executions) {
      if (each.owner.key == key) {
        return each;
      }
    }
    return null;
  }

  private static final class Receivers {
    Call firstReturn;
    Call lastBegin;

    void add(Call call) {
      if (firstReturn == null || call.returned < firstReturn.returned) {
        firstReturn = call;
      }
      if (lastBegin == null || call.begun > lastBegin.begun) {
        lastBegin = call;
      }
    }
  }
}
