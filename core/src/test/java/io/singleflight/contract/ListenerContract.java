package io.singleflight.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.singleflight.FlightListener;
import io.singleflight.FlightStats;
import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.stream.Stream;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.awaitility.core.ThrowingRunnable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Listeners, {@code FlightStats} and the flight recorder's event. */
public abstract class ListenerContract extends Contract {

  private final Queue<String> told = new ConcurrentLinkedQueue<>();

  private final FlightListener<Object> listener =
      new FlightListener<>() {
        @Override
        public void started(Object key) {
          told.add("started");
        }

        @Override
        public void joined(Object key, int callers) {
          told.add("joined " + callers);
        }

        @Override
        public void left(Object key, Departure departure) {
          told.add("left " + departure);
        }

        @Override
        public void handedOff(Object key, Throwable failure) {
          told.add("handedOff " + failure.getClass().getSimpleName());
        }

        @Override
        public void ended(Object key, Ending ending, Duration duration, int callers) {
          assertThat(duration).isGreaterThanOrEqualTo(Duration.ZERO);
          told.add("ended " + ending + " " + callers);
        }
      };

  private Scene scene(Case like, int followers, GatedWork work) throws Exception {
    Scene scene = new Scene(like, followers, work, options -> options.listener(listener));
    if (like.freshness() == Freshness.NEXT) {
      awaitThat(() -> assertThat(told).contains("ended VALUE 1"));
      assertThat(told.remove()).isEqualTo("started");
      assertThat(told.remove("ended VALUE 1")).isTrue();
    }
    return scene;
  }

  /* A caller is aboard before its listeners are told: its event may cross those of others. */
  private void awaitTold(String... events) {
    List<String> ofTheFlight =
        Stream.of(events).filter(event -> !event.startsWith("joined")).toList();
    awaitThat(() -> {
      assertThat(told).containsExactlyInAnyOrder(events);
      assertThat(told)
          .filteredOn(event -> !event.startsWith("joined"))
          .containsExactlyElementsOf(ofTheFlight);
    });
  }

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void listener_valueForThree_isToldInOrder(Case like) throws Exception {
    Scene scene = scene(like, 2, gated());
    scene.leadersWork.returns(1);
    assertThat(scene.leader.value()).isEqualTo(1);
    awaitTold("started", "joined 2", "joined 3", "ended VALUE 3");
  }

  /** Nobody looks on here, by {@code inFlight} either: a leader that is seen lands another way. */
  @ParameterizedTest
  @MethodSource(Case.LEADERS)
  void listener_leaderAlone_isToldOfItsEnd(Case like) throws Exception {
    SingleFlight<Object, Object> flights =
        instance(options -> options.freshness(like.freshness()).listener(listener));
    start(like.leader(), like.threads(), flights, GatedWork.returning(1)).value();
    awaitTold("started", "ended VALUE 1");
    start(like.leader(), like.threads(), flights, GatedWork.failing(new Exception())).failure();
    awaitTold("started", "ended VALUE 1", "started", "ended FAILURE 1");
  }

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void listener_failureAfterOneLeft_isToldInOrder(Case like) throws Exception {
    Scene scene = scene(like, 2, gated());
    scene.followers.get(0).leave();
    scene.followers.get(0).failure();
    awaitCallers(scene.flights, 2);
    String left = "left " + (like.follower().blocks() ? "INTERRUPTED" : "CANCELLED");
    awaitTold("started", "joined 2", "joined 3", left);
    scene.leadersWork.fails(new Exception());
    scene.leader.failure();
    awaitTold("started", "joined 2", "joined 3", left, "ended FAILURE 2");
  }

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void listener_handOff_isToldInOrder(Case like) throws Exception {
    Scene scene = scene(like, 2, gated());
    scene.leadersWork.fails(new InterruptedException());
    scene.leader.failure();
    awaitTold("started", "joined 2", "joined 3", "handedOff InterruptedException");
    scene.followersWouldReturn(1);
    scene.followers.get(0).value();
    scene.followers.get(1).value();
    awaitTold("started", "joined 2", "joined 3", "handedOff InterruptedException", "ended VALUE 2");
  }

  @ParameterizedTest
  @MethodSource(Case.LEAVABLE_LEADERS)
  void listener_abandonment_isToldInOrder(Case like) throws Exception {
    Scene scene = scene(like, 0, stubborn());
    scene.leader.leave();
    scene.leader.failure();
    awaitTold(
        "started",
        "left " + (like.leader().blocks() ? "INTERRUPTED" : "CANCELLED"),
        "ended ABANDONED 0");
  }

  /** Each flight ends once, though the work of an abandoned one ends too. */
  @Test
  void listener_abandonedWorkEndsLater_isToldOfNoOtherEnd() throws Exception {
    ExecutorService executor = threads();
    SingleFlight<Object, Object> flights =
        instance(options -> options.listener(listener).executor(executor));
    GatedWork work = stubborn();
    Caller only = start(Kind.SUBMIT, Threads.PLATFORM, flights, work);
    work.awaitBegun();
    only.leave();
    awaitTold("started", "left CANCELLED", "ended ABANDONED 0");
    work.returns(1);
    executor.shutdown();
    assertThat(executor.awaitTermination(20, TimeUnit.SECONDS)).isTrue();
    awaitTold("started", "left CANCELLED", "ended ABANDONED 0");
  }

  @Test
  void listener_timeouts_areToldAsSuch() throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.listener(listener));
    GatedWork work = gated();
    Caller leader = start(Kind.CALL, Threads.PLATFORM, flights, work);
    work.awaitBegun();
    Caller.start(Kind.TIMED_CALL, Threads.PLATFORM, flights, KEY, gated(), Duration.ofMillis(2))
        .failure();
    assertThat(flights.submit(KEY, key -> 1).orTimeout(2, TimeUnit.MILLISECONDS))
        .failsWithin(PATIENCE);
    awaitTold("started", "joined 2", "left TIMED_OUT", "joined 2", "left TIMED_OUT");
    work.returns(1);
    leader.value();
    awaitTold(
        "started", "joined 2", "left TIMED_OUT", "joined 2", "left TIMED_OUT", "ended VALUE 1");
  }

  /** A leader that leaves before its work began is replaced: that is no hand-off. */
  @ParameterizedTest
  @MethodSource("io.singleflight.contract.ListenerContract#waitingLeaders")
  void listener_leaderLeavesBeforeItsWorkBegan_isToldOfNoHandOff(Case like) throws Exception {
    Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    AtomicBoolean open = new AtomicBoolean();
    ExecutorService executor = threads();
    SingleFlight<Object, Object> flights =
        instance(options ->
            options
                .freshness(like.freshness())
                .listener(listener)
                .executor(task -> {
                  tasks.add(task);
                  if (open.get()) {
                    executor.execute(
                        () -> Optional.ofNullable(tasks.poll()).ifPresent(Runnable::run));
                  }
                }));
    List<String> expected =
        new ArrayList<>(
            List.of(
                "started",
                "joined 2",
                "left " + (like.leader().blocks() ? "INTERRUPTED" : "CANCELLED"),
                "ended VALUE 1"));
    GatedWork aheadsWork = gated();
    int before = 0;
    if (like.freshness() == Freshness.NEXT) {
      start(Kind.CALL, Threads.PLATFORM, flights, aheadsWork);
      aheadsWork.awaitBegun();
      expected.add(0, "started");
      expected.add("ended VALUE 1");
      before = 1;
    }
    GatedWork unused = GatedWork.returning("unused");
    Caller leader = start(like.leader(), like.threads(), flights, unused);
    awaitCallers(flights, before + 1);
    leader.awaitParked();
    GatedWork heirsWork = gated();
    Caller heir = start(like.follower(), like.threads(), flights, heirsWork);
    awaitCallers(flights, before + 2);
    awaitThat(() -> assertThat(told).contains("joined 2"));
    leader.leave();
    leader.failure();
    awaitThat(() -> assertThat(told).contains(expected.get(expected.indexOf("joined 2") + 1)));
    aheadsWork.returns("ahead");
    open.set(true);
    for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
      executor.execute(task);
    }
    heirsWork.returns("heir's");
    assertThat(heir.value()).isEqualTo("heir's");
    awaitThat(() -> assertThat(told).containsExactlyElementsOf(expected));
    assertThat(unused.executions()).isZero();
  }

  /** In NEXT, those that wait for their turn; in RUNNING, those whose work waits for a thread. */
  static Stream<Case> waitingLeaders() {
    return Case.all()
        .filter(like ->
            like.freshness() == Freshness.NEXT
                || like.leader() == Kind.SUBMIT
                || like.leader() == Kind.TIMED_CALL);
  }

  /** A listener that fails whatever it is told. */
  private static final class Broken implements FlightListener<Object> {
    private final RuntimeException failure = new IllegalStateException("listener");

    @Override
    public void started(Object key) {
      throw failure;
    }

    @Override
    public void joined(Object key, int callers) {
      throw failure;
    }

    @Override
    public void left(Object key, Departure departure) {
      throw failure;
    }

    @Override
    public void handedOff(Object key, Throwable cause) {
      throw failure;
    }

    @Override
    public void ended(Object key, Ending ending, Duration duration, int callers) {
      throw new AssertionError("an error");
    }
  }

  private static Handler handler(Consumer<LogRecord> entries) {
    return new Handler() {
      @Override
      public void publish(LogRecord entry) {
        entries.accept(entry);
      }

      @Override
      public void flush() {}

      @Override
      public void close() {}
    };
  }

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void listener_thatThrows_isLoggedOnceAndChangesNothing(Case like) throws Exception {
    Broken broken = new Broken();
    Queue<LogRecord> logged = new ConcurrentLinkedQueue<>();
    whileLogging(handler(logged::add), () -> allHappens(like, options -> options.listener(broken)));
    assertThat(logged).singleElement().extracting(LogRecord::getThrown).isSameAs(broken.failure);
  }

  @ParameterizedTest
  @MethodSource(Case.ALL)
  void listener_thatThrowsAndSoDoesTheLogger_changesNothing(Case like) throws Exception {
    AtomicInteger logged = new AtomicInteger();
    whileLogging(
        handler(entry -> {
          logged.incrementAndGet();
          throw new IllegalStateException("logger");
        }),
        () -> allHappens(like, options -> options.listener(new Broken()).listener(new Broken())));
    assertThat(logged).hasValue(2);
  }

  private static void whileLogging(Handler handler, ThrowingRunnable body) throws Exception {
    Logger logger = Logger.getLogger("io.singleflight");
    logger.addHandler(handler);
    logger.setUseParentHandlers(false);
    try {
      body.run();
    } catch (Throwable failure) {
      throw GatedWork.<RuntimeException>sneaky(failure);
    } finally {
      logger.setUseParentHandlers(true);
      logger.removeHandler(handler);
    }
  }

  /** A flight starts, is joined, left, and handed off, and ends. */
  private void allHappens(Case like, Consumer<SingleFlight.Builder<Object, Object>> options)
      throws Exception {
    FlightStats stats = new FlightStats();
    Scene scene =
        new Scene(
            like,
            3,
            gated(),
            builder -> {
              options.accept(builder);
              builder.listener(stats);
            });
    Caller leaver = scene.followers.remove(0);
    leaver.leave();
    assertThat(leaver.failure())
        .isInstanceOf(
            leaver.kind.blocks() ? InterruptedException.class : CancellationException.class);
    InterruptedException own = new InterruptedException("the leader's own");
    scene.leadersWork.fails(own);
    assertThat(scene.leader.failure()).isSameAs(own);
    scene.followersWouldReturn("handed off");
    for (Caller follower : scene.followers) {
      assertThat(follower.value()).isEqualTo("handed off");
    }
    int ahead = like.freshness() == Freshness.NEXT ? 1 : 0;
    awaitThat(() -> {
      FlightStats.Snapshot counts = stats.snapshot();
      assertThat(counts.started()).isEqualTo(1 + ahead);
      assertThat(counts.joined()).isEqualTo(3);
      assertThat(counts.interrupted() + counts.cancelled()).isEqualTo(1);
      assertThat(counts.handedOff()).isEqualTo(1);
      assertThat(counts.values()).isEqualTo(1 + ahead);
    });
  }

  @Test
  void stats_ofEveryEvent_areCounted() {
    FlightStats stats = new FlightStats();
    stats.started(KEY);
    stats.joined(KEY, 2);
    for (FlightListener.Departure departure : FlightListener.Departure.values()) {
      for (int i = 0; i <= departure.ordinal(); i++) {
        stats.left(KEY, departure);
      }
    }
    stats.handedOff(KEY, new Exception());
    for (FlightListener.Ending ending : FlightListener.Ending.values()) {
      for (int i = 0; i <= ending.ordinal(); i++) {
        stats.ended(KEY, ending, Duration.ofSeconds(1), 1);
      }
    }
    assertThat(stats.snapshot())
        .isEqualTo(new FlightStats.Snapshot(1, 1, 1, 2, 3, 1, 1, 2, 3, Duration.ofSeconds(6)));
  }

  @Test
  void recorder_whileOn_seesEachFlightWithItsFields(@TempDir Path directory) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.name("recorded"));
    List<RecordedEvent> events;
    try (Recording recording = new Recording()) {
      // A flight that was not timed would last nothing, and be below this.
      recording.enable("io.singleflight.Flight").withThreshold(Duration.ofNanos(1));
      recording.start();
      flights.call("value", key -> 1);
      start(Kind.CALL, Threads.PLATFORM, flights, "failure", GatedWork.failing(new Exception()))
          .failure();
      GatedWork stuck = stubborn();
      Caller leaver = start(Kind.SUBMIT, Threads.PLATFORM, flights, "abandoned", stuck);
      stuck.awaitBegun();
      leaver.leave();
      leaver.failure();
      recording.stop();
      Path file = directory.resolve("flights.jfr");
      recording.dump(file);
      events = RecordingFile.readAllEvents(file);
    }
    flights.call("unrecorded", key -> 1);
    assertThat(events)
        .filteredOn(event -> event.getEventType().getName().equals("io.singleflight.Flight"))
        .filteredOn(event -> "recorded".equals(event.getString("name")))
        .extracting(
            event -> event.getString("key"),
            event -> event.getString("outcome"),
            event -> event.getInt("callers"))
        .containsExactlyInAnyOrder(
            org.assertj.core.groups.Tuple.tuple("value", "VALUE", 1),
            org.assertj.core.groups.Tuple.tuple("failure", "FAILURE", 1),
            org.assertj.core.groups.Tuple.tuple("abandoned", "ABANDONED", 0));
  }

  /** Its event would tell when somebody joined, not when the flight began. */
  @Test
  void recorder_thatStartsDuringAFlight_seesNothingOfIt(@TempDir Path directory) throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.name("late"));
    GatedWork work = gated();
    Caller leader = start(Kind.CALL, Threads.PLATFORM, flights, work);
    work.awaitBegun();
    try (Recording recording = new Recording()) {
      recording.enable("io.singleflight.Flight").withThreshold(Duration.ZERO);
      recording.start();
      Caller follower = start(Kind.CALL, Threads.PLATFORM, flights, gated());
      awaitCallers(flights, 2);
      work.returns("landed");
      assertThat(leader.value()).isEqualTo("landed");
      assertThat(follower.value()).isEqualTo("landed");
      recording.stop();
      Path file = directory.resolve("flights.jfr");
      recording.dump(file);
      assertThat(RecordingFile.readAllEvents(file))
          .noneMatch(event -> event.hasField("name") && "late".equals(event.getString("name")));
    }
  }

  @Test
  void recorder_keyWhoseToStringThrows_seesItsClass(@TempDir Path directory) throws Exception {
    class Nameless {
      @Override
      public String toString() {
        throw new UnsupportedOperationException("toString");
      }
    }
    SingleFlight<Object, Object> flights = instance(options -> options.name("nameless"));
    List<RecordedEvent> events;
    try (Recording recording = new Recording()) {
      recording.enable("io.singleflight.Flight").withThreshold(Duration.ZERO);
      recording.start();
      for (Kind kind : Kind.values()) {
        assertThat(call(flights, kind, new Nameless(), () -> "landed")).isEqualTo("landed");
      }
      Path file = directory.resolve("flights.jfr");
      awaitThat(() -> assertThat(flights.inFlight()).isEmpty());
      recording.stop();
      recording.dump(file);
      events = RecordingFile.readAllEvents(file);
    }
    assertThat(events)
        .filteredOn(event -> event.getEventType().getName().equals("io.singleflight.Flight"))
        .filteredOn(event -> "nameless".equals(event.getString("name")))
        .isNotEmpty()
        .allMatch(event -> event.getString("key").equals(Nameless.class.getName()));
  }

  @Test
  void recorder_whileOff_seesNothing(@TempDir Path directory) throws Exception {
    SingleFlight<Object, Object> flights = instance();
    try (Recording recording = new Recording()) {
      recording.disable("io.singleflight.Flight");
      recording.start();
      flights.call("value", key -> 1);
      recording.stop();
      Path file = directory.resolve("none.jfr");
      recording.dump(file);
      assertThat(Files.exists(file)).isTrue();
      assertThat(RecordingFile.readAllEvents(file))
          .noneMatch(event -> event.getEventType().getName().equals("io.singleflight.Flight"));
    }
  }

  /** It leaves the flight that it waits for, and all others that it has joined. */
  @Test
  void listener_batchIsInterrupted_isToldSoOfEachKey() throws Exception {
    SingleFlight<Object, Object> flights = instance(options -> options.listener(listener));
    GatedWork work = gated();
    Caller a = start(Kind.CALL, Threads.PLATFORM, flights, "a", work);
    Caller b = start(Kind.CALL, Threads.PLATFORM, flights, "b", work);
    awaitCallers(flights, 2);
    FutureTask<Object> batch =
        new FutureTask<>(() -> flights.callAll(List.of("a", "b"), keys -> Map.of()));
    Thread thread = Threads.PLATFORM.start(batch);
    await(() -> thread.getState() == Thread.State.WAITING);
    thread.interrupt();
    assertThatThrownBy(() -> got(batch)).hasCauseInstanceOf(InterruptedException.class);
    assertThat(told)
        .filteredOn(each -> each.startsWith("left"))
        .containsExactly("left INTERRUPTED", "left INTERRUPTED");
    work.returns("landed");
    assertThat(a.value()).isEqualTo(b.value());
  }
}
