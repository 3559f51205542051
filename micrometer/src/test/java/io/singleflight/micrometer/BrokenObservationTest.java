package io.singleflight.micrometer;

import static io.singleflight.contract.Contract.callers;
import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.micrometer.common.KeyValues;
import io.micrometer.context.ContextRegistry;
import io.micrometer.context.ThreadLocalAccessor;
import io.micrometer.observation.GlobalObservationConvention;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;
import io.micrometer.observation.ObservationRegistry;
import io.singleflight.SingleFlight;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Observers that throw change nothing: flights land, values and failures stay what they are. */
class BrokenObservationTest {

  private static final Duration A_DAY = Duration.ofDays(1);

  /** Where an observation throws. */
  enum Fault {
    PREDICATE,
    CONVENTION,
    FILTER,
    START,
    SCOPE_OPENED,
    ERROR,
    SCOPE_CLOSED,
    STOP
  }

  private static final class Broken extends IllegalStateException {
    private static final long serialVersionUID = 1;

    Broken(Object what) {
      super("broken on purpose: " + what);
    }
  }

  private final ObservationRegistry observations = ObservationRegistry.create();
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final CountDownLatch gate = new CountDownLatch(1);

  @AfterEach
  void end() {
    gate.countDown();
    threads.shutdownNow();
    observations.setCurrentObservationScope(null);
    ContextRegistry.getInstance().removeThreadLocalAccessor("broken");
  }

  private void breakAt(Fault at) {
    ObservationRegistry.ObservationConfig config = observations.observationConfig();
    config.observationHandler(
        new ObservationHandler<>() {
          private void reach(Fault here) {
            if (at == here) {
              throw new Broken(here);
            }
          }

          @Override
          public void onStart(Observation.Context context) {
            reach(Fault.START);
          }

          @Override
          public void onScopeOpened(Observation.Context context) {
            reach(Fault.SCOPE_OPENED);
          }

          @Override
          public void onError(Observation.Context context) {
            reach(Fault.ERROR);
          }

          @Override
          public void onScopeClosed(Observation.Context context) {
            reach(Fault.SCOPE_CLOSED);
          }

          @Override
          public void onStop(Observation.Context context) {
            reach(Fault.STOP);
          }

          @Override
          public boolean supportsContext(Observation.Context context) {
            return true;
          }
        });
    if (at == Fault.PREDICATE) {
      config.observationPredicate((name, context) -> {
        throw new Broken(at);
      });
    } else if (at == Fault.FILTER) {
      config.observationFilter(context -> {
        throw new Broken(at);
      });
    } else if (at == Fault.CONVENTION) {
      config.observationConvention(
          new GlobalObservationConvention<>() {
            @Override
            public KeyValues getLowCardinalityKeyValues(Observation.Context context) {
              throw new Broken(at);
            }

            @Override
            public boolean supportsContext(Observation.Context context) {
              return true;
            }
          });
    }
  }

  private SingleFlight<String, String> observed() {
    return ObservedSingleFlight.build("broken", SingleFlight.builder(), observations);
  }

  /**
   * A leader and a follower of each kind. A stage's flight never landed when its observation could
   * not be stopped, and a value that had been found became a failure.
   */
  @ParameterizedTest
  @EnumSource(Fault.class)
  void calls_whoseObservationThrows_getTheValueAndLand(Fault at) throws Exception {
    breakAt(at);
    SingleFlight<String, String> flights = observed();
    for (int kind = 0; kind < 5; kind++) {
      CompletableFuture<String> stage = new CompletableFuture<>();
      List<Future<String>> all = herd(flights, kind, stage);
      stage.complete("found");
      for (Future<String> each : all) {
        assertThat(each.get(20, SECONDS)).as("kind %d", kind).isEqualTo("found");
      }
      awaitCallers(flights, 0);
    }
    assertThat(observations.getCurrentObservationScope()).isNull();
  }

  @ParameterizedTest
  @EnumSource(Fault.class)
  void calls_whoseObservationThrows_getTheFailureItselfAndLand(Fault at) throws Exception {
    breakAt(at);
    SingleFlight<String, String> flights = observed();
    for (int kind = 0; kind < 5; kind++) {
      CompletableFuture<String> stage = new CompletableFuture<>();
      List<Future<String>> all = herd(flights, kind, stage);
      SecurityException failure = new SecurityException("the key's");
      stage.completeExceptionally(failure);
      for (Future<String> each : all) {
        assertThat(catchThrowable(() -> each.get(20, SECONDS))).hasCause(failure);
      }
      awaitCallers(flights, 0);
    }
  }

  /** Whoever leads, by each kind of call; a follower of each kind; all wait for the stage. */
  private List<Future<String>> herd(
      SingleFlight<String, String> flights, int leader, CompletableFuture<String> stage) {
    List<Future<String>> all = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      int kind = (leader + i) % 5;
      all.add(
          switch (kind) {
            case 0 -> threads.submit(() -> flights.call("a", key -> valueOf(stage)));
            case 1 -> threads.submit(() -> flights.call("a", A_DAY, key -> valueOf(stage)));
            case 2 -> flights.submit("a", key -> valueOf(stage));
            case 3 -> flights.callAsync("a", key -> stage);
            default ->
                threads.submit(() ->
                    flights.callAll(List.of("a"), keys -> Map.of("a", valueOf(stage))).get("a"));
          });
      awaitCallers(flights, i + 1);
    }
    return all;
  }

  private static String valueOf(CompletableFuture<String> stage) {
    try {
      return stage.join();
    } catch (CompletionException wrapper) {
      throw (SecurityException) wrapper.getCause();
    }
  }

  private static void awaitCallers(SingleFlight<?, ?> flights, int expected) {
    Awaitility.await().pollDelay(Duration.ZERO).until(() -> callers(flights) == expected);
  }

  /** What the thread does next is not observed as a part of the flight. */
  @ParameterizedTest
  @EnumSource(Fault.class)
  void call_whoseObservationThrows_leavesTheThreadInTheScopeThatItCameIn(Fault at)
      throws Exception {
    SingleFlight<String, String> flights = observed();
    Observation request = Observation.start("request", observations);
    try (Observation.Scope scope = request.openScope()) {
      breakAt(at);
      assertThat(flights.call("a", key -> "found")).isEqualTo("found");
      assertThat(observations.getCurrentObservationScope()).isSameAs(scope);
    } catch (Broken ofTheRequest) {
      assertThat(at).isEqualTo(Fault.SCOPE_CLOSED);
    }
  }

  // Thread locals

  private enum Access {
    GET,
    SET,
    RESTORE
  }

  private volatile Access broken;

  private void carryABrokenThreadLocal() {
    ContextRegistry.getInstance()
        .registerThreadLocalAccessor(
            new ThreadLocalAccessor<String>() {
              private void reach(Access here) {
                if (broken == here) {
                  throw new Broken(here);
                }
              }

              @Override
              public Object key() {
                return "broken";
              }

              @Override
              public String getValue() {
                reach(Access.GET);
                return "value";
              }

              @Override
              public void setValue(String value) {
                reach(Access.SET);
              }

              @Override
              public void restore(String previous) {
                reach(Access.RESTORE);
              }
            });
  }

  /** The thread local of a future's caller is set when the flight lands: the future hung. */
  @ParameterizedTest
  @EnumSource(Access.class)
  void future_whoseThreadLocalThrowsWhenItLands_isCompletedAllTheSame(Access at) throws Exception {
    carryABrokenThreadLocal();
    SingleFlight<String, String> flights = observed();
    CompletableFuture<String> stage = new CompletableFuture<>();
    CompletableFuture<String> leader = flights.callAsync("a", key -> stage);
    CompletableFuture<String> follower = flights.submit("a", key -> "not performed");
    broken = at;
    stage.complete("found");
    assertThat(leader.get(20, SECONDS)).isEqualTo("found");
    assertThat(follower.get(20, SECONDS)).isEqualTo("found");
  }

  /** A work must not run outside its caller's context: that fails the flight, which lands. */
  @Test
  void work_whoseThreadLocalCannotBeSet_isNotPerformedAndFailsTheFlight() {
    carryABrokenThreadLocal();
    SingleFlight<String, String> flights = observed();
    broken = Access.SET;
    for (CompletableFuture<String> future :
        List.of(
            flights.submit("a", key -> "performed"),
            flights.callAsync("b", key -> CompletableFuture.completedFuture("performed")))) {
      assertThat(catchThrowable(() -> future.get(20, SECONDS))).hasCauseInstanceOf(Broken.class);
    }
    awaitCallers(flights, 0);
  }

  @Test
  void future_whoseThreadLocalCannotBeRead_failsAndTakesNoSeat() {
    carryABrokenThreadLocal();
    SingleFlight<String, String> flights = observed();
    broken = Access.GET;
    assertThat(flights.submit("a", key -> "performed"))
        .failsWithin(Duration.ZERO)
        .withThrowableThat()
        .havingCause()
        .isInstanceOf(Broken.class);
    assertThat(flights.inFlight()).isEmpty();
  }

  @Test
  void observation_thatAlwaysThrows_isLoggedOnce() throws Exception {
    List<LogRecord> logged = new ArrayList<>();
    Handler handler =
        new Handler() {
          @Override
          public void publish(LogRecord record) {
            logged.add(record);
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    Logger logger = Logger.getLogger("io.singleflight");
    logger.addHandler(handler);
    try {
      breakAt(Fault.STOP);
      SingleFlight<String, String> flights = observed();
      for (int i = 0; i < 3; i++) {
        assertThat(flights.call("a", key -> "found")).isEqualTo("found");
      }
    } finally {
      logger.removeHandler(handler);
    }
    assertThat(logged)
        .singleElement()
        .satisfies(record -> assertThat(record.getThrown()).isInstanceOf(Broken.class));
  }
}
