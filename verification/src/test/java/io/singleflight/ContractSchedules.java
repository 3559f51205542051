package io.singleflight;

import io.singleflight.contract.CallAllContract;
import io.singleflight.contract.Contract;
import io.singleflight.contract.DeadlockContract;
import io.singleflight.contract.FailureContract;
import io.singleflight.contract.FenceContract;
import io.singleflight.contract.IsolationContract;
import io.singleflight.contract.LandingContract;
import io.singleflight.contract.LeftoversContract;
import io.singleflight.contract.ListenerContract;
import io.singleflight.contract.LockContract;
import io.singleflight.contract.NextContract;
import io.singleflight.contract.OptionsContract;
import io.singleflight.contract.SingleFlightFactory;
import io.singleflight.contract.WakingContract;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.InvocationInterceptor;
import org.junit.jupiter.api.extension.ReflectiveInvocationContext;
import org.junit.platform.commons.support.AnnotationSupport;
import org.junit.platform.commons.support.HierarchyTraversalMode;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.pastalab.fray.runtime.LivenessException;

/**
 * The contract suite's own tests. A seed chooses a test, each in its turn, one of the cases that it
 * has parameters for, and the schedule: see {@link Explorer}. JUnit finds the tests and their
 * cases; here they run with a new instance each time, and what comes before and after each.
 *
 * <p>{@link ContractSchedulesTest} runs this in a JVM that Fray has instrumented.
 */
final class ContractSchedules {

  /* The longest of the tests takes 90,000, apart from those of MANY_ROUNDS. */
  private static final int MAX_STEPS = 200_000;

  /** Tests that no schedule decides, by what does. */
  private static final Map<String, Set<String>> LEFT_OUT =
      Map.of(
          "the garbage collector",
          Set.of(
              "Leftovers.flightsAfterAStuckOne_areCollected",
              "Leftovers.keysValuesAndWorks_ofEndedFlights_areCollected",
              "Options.executor_discards_nobodyHangsForEver",
              "Options.executor_shutDownNow_nobodyHangsForEver"),
          "which of two waits has its timeout first: Fray has no clock",
          Set.of(
              "Isolation.timedCall_timesOutAsFollower_leaves",
              "Isolation.timedCall_timesOutAsLeader_returnsWhateverTheWorkDoes",
              "Listener.listener_timeouts_areToldAsSuch",
              "Options.timedCall_deadlineWhileQueuedOnTheExecutor_holds"),
          "the flight recorder",
          Set.of(
              "Listener.recorder_keyWhoseToStringThrows_seesItsClass",
              "Listener.recorder_thatStartsDuringAFlight_seesNothingOfIt",
              "Listener.recorder_whileOff_seesNothing",
              "Listener.recorder_whileOn_seesEachFlightWithItsFields"),
          "the executor that is replaced here",
          Set.of("Options.executor_default_namesItsThreads"),
          "a thread that spins, and takes no step meanwhile",
          Set.of("Isolation.allLeave_theInterrupt_isClearedBeforeTheThreadGoesBack"),
          "that Fray takes who waits at a latch for BLOCKED, not WAITING",
          Set.of("CallAll.callAll_interruptedAsLeader_handsEachKeyOff"),
          "more threads than are worth a schedule",
          Set.of("Landing.call_fromFifteenHundredThreads_isOneExecution"));

  /** Cases of other tests, by an argument, that are left out for the first two of these reasons. */
  private static final Set<String> LEFT_OUT_CASES =
      Set.of("DROPPED_WORK", "DROPPED_TIMED_WORK", "TIMED_OUT", "orTimeout", "completeOnTimeout");

  /**
   * Tests that try their luck in many rounds, of which a schedule has steps for some: of these,
   * what is wrong is seen, but one that hangs is not told from one that is cut short.
   */
  private static final Set<String> MANY_ROUNDS =
      Set.of(
          "CallAll.callAll_crossingBatches_neverDeadlock",
          "Deadlock.anyBlockingCall_ofTheKeyThatItsThreadPerforms_throwsEachTime",
          "Deadlock.call_crossingOverTwoInstances_throwsAndHangsNobody",
          "Deadlock.call_nestedInAscendingOrder_isNeverTakenForADeadlock",
          "Isolation.landing_coincidesWithAnInterrupt_losesNeither",
          "Landing.blockingCall_calledAgainAtOnceByItsThread_performsAnew",
          "Next.anyCall_amongManyThatComeAndGo_getsAnExecutionThatBeganAfterIt",
          "Options.executor_inline_servesEveryKind");

  private final Map<String, List<Case>> tests = new TreeMap<>();
  private final List<String> names;
  private final Set<Case> played = new HashSet<>();
  private int cut;

  private ContractSchedules() {
    SummaryGeneratingListener summary = new SummaryGeneratingListener();
    LauncherFactory.create()
        .execute(
            LauncherDiscoveryRequestBuilder.request()
                .selectors(
                    Arrays.stream(ContractSchedules.class.getDeclaredClasses())
                        .filter(Contract.class::isAssignableFrom)
                        .map(DiscoverySelectors::selectClass)
                        .toList())
                .build(),
            summary);
    summary.getSummary().getFailures().forEach(each -> rethrow(each.getException()));
    COLLECTED.forEach(
        each -> tests.computeIfAbsent(each.test, test -> new ArrayList<>()).add(each));
    Set<String> leftOut = new HashSet<>();
    LEFT_OUT.values().forEach(leftOut::addAll);
    Set<String> listed = new HashSet<>(leftOut);
    listed.addAll(MANY_ROUNDS);
    listed.removeAll(tests.keySet());
    if (!listed.isEmpty()) {
      throw new AssertionError("no such tests: " + listed);
    }
    tests.keySet().removeAll(leftOut);
    tests.values().forEach(cases -> cases.removeIf(Case::isLeftOut));
    names = List.copyOf(tests.keySet());
  }

  /** Explores a number of schedules from a seed on. */
  public static void main(String[] args) throws Throwable {
    int first = Integer.parseInt(args[0]);
    int count = Integer.parseInt(args[1]);
    ContractSchedules schedules = new ContractSchedules();
    schedules.warmUp(first, count);
    Explorer explorer = new Explorer(MAX_STEPS, schedules::play);
    Throwable found = explorer.explore(first, count);
    if (found != null) {
      found.printStackTrace(System.out);
      System.out.println(
          "seed: " + explorer.last() + ", which is " + schedules.chosen(explorer.last()));
    }
    System.out.printf(
        "schedules: %,d, of %,d cases of %,d tests, %,d of many rounds cut short%n",
        explorer.last() + 1 - first,
        schedules.played.size(),
        schedules.played.stream().map(each -> each.test).distinct().count(),
        schedules.cut);
    // Fray takes an exit for the end of a program under test.
    Runtime.getRuntime().halt(found == null ? 0 : 1);
  }

  private Case chosen(int seed) {
    List<Case> cases = tests.get(names.get(seed % names.size()));
    return cases.get(new SplittableRandom(seed).nextInt(cases.size()));
  }

  /*
   * What a JVM does only once is no part of a schedule: Fray hangs where a class is initialized. So
   * each case runs once before, and one of each test; and the threads that this leaves end.
   */
  private void warmUp(int first, int count) throws Throwable {
    Set<Case> cases = new LinkedHashSet<>();
    tests.values().forEach(each -> cases.add(each.get(0)));
    IntStream.range(first, first + count).mapToObj(this::chosen).forEach(cases::add);
    cases.removeIf(each -> MANY_ROUNDS.contains(each.test));
    for (Case each : cases) {
      each.run();
    }
    Thread[] threads = new Thread[1000];
    for (int i = Thread.enumerate(threads) - 1; i >= 0; i--) {
      if (threads[i] != Thread.currentThread()) {
        threads[i].join();
      }
    }
  }

  private void play(int seed) {
    Case chosen = chosen(seed);
    boolean manyRounds = MANY_ROUNDS.contains(chosen.test);
    played.add(chosen);
    try {
      chosen.run();
    } catch (Throwable failure) {
      if (!manyRounds || !(failure instanceof LivenessException || Explorer.isCut())) {
        rethrow(failure);
      }
      cut++;
    }
  }

  @SuppressWarnings("unchecked")
  private static <X extends Throwable> void rethrow(Throwable failure) throws X {
    throw (X) failure;
  }

  /** A test with its arguments. */
  private record Case(String test, Class<?> type, Method method, List<Object> arguments) {

    boolean isLeftOut() {
      return arguments.stream().map(String::valueOf).anyMatch(LEFT_OUT_CASES::contains);
    }

    void run() throws Throwable {
      Constructor<?> constructor = type.getDeclaredConstructor();
      constructor.setAccessible(true);
      Object instance = constructor.newInstance();
      for (Method each :
          AnnotationSupport.findAnnotatedMethods(
              type, BeforeEach.class, HierarchyTraversalMode.TOP_DOWN)) {
        call(each, instance);
      }
      call(method, instance, arguments.toArray());
      // Nothing comes after a failure, which leaves calls that might never end.
      for (Method each :
          AnnotationSupport.findAnnotatedMethods(
              type, AfterEach.class, HierarchyTraversalMode.BOTTOM_UP)) {
        call(each, instance);
      }
    }

    private static void call(Method method, Object instance, Object... arguments) throws Throwable {
      method.setAccessible(true);
      try {
        method.invoke(instance, arguments);
      } catch (InvocationTargetException thrown) {
        throw thrown.getCause();
      }
    }

    @Override
    public String toString() {
      return test + arguments;
    }
  }

  private static final List<Case> COLLECTED = new ArrayList<>();

  /** Keeps what JUnit is about to run, and has it run nothing. */
  static final class Collector implements InvocationInterceptor {

    @Override
    public void interceptTestMethod(
        Invocation<Void> invocation,
        ReflectiveInvocationContext<Method> test,
        ExtensionContext context) {
      collect(invocation, test);
    }

    @Override
    public void interceptTestTemplateMethod(
        Invocation<Void> invocation,
        ReflectiveInvocationContext<Method> test,
        ExtensionContext context) {
      collect(invocation, test);
    }

    private static void collect(
        Invocation<Void> invocation, ReflectiveInvocationContext<Method> test) {
      invocation.skip();
      Method method = test.getExecutable();
      Class<?> type = test.getTargetClass();
      COLLECTED.add(
          new Case(
              type.getSimpleName() + "." + method.getName(), type, method, test.getArguments()));
    }
  }

  /**
   * With threads that end, as those which a pool keeps would be seen to hang, and a clock that
   * moves when somebody looks.
   */
  @ExtendWith(Collector.class)
  interface Local extends SingleFlightFactory {
    @Override
    default <K, V> SingleFlight<K, V> create(Consumer<SingleFlight.Builder<K, V>> options) {
      SingleFlight.Builder<K, V> builder = SingleFlight.builder();
      options.accept(builder);
      AtomicLong clock = new AtomicLong();
      return builder.build(
          () -> clock.addAndGet(1_000_000), task -> new Thread(task, "task").start());
    }
  }

  static class Landing extends LandingContract implements Local {}

  static class Isolation extends IsolationContract implements Local {}

  static class Failure extends FailureContract implements Local {}

  static class Deadlock extends DeadlockContract implements Local {}

  static class Lock extends LockContract implements Local {}

  static class Waking extends WakingContract implements Local {}

  static class Leftovers extends LeftoversContract implements Local {}

  static class Fence extends FenceContract implements Local {}

  static class Next extends NextContract implements Local {}

  static class CallAll extends CallAllContract implements Local {}

  static class Options extends OptionsContract implements Local {}

  static class Listener extends ListenerContract implements Local {}
}
