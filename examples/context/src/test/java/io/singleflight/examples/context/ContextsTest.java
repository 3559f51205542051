package io.singleflight.examples.context;

import static io.singleflight.examples.context.Contexts.SNAPSHOTS;
import static io.singleflight.examples.context.Contexts.TENANT;
import static io.singleflight.examples.context.Contexts.carryingContext;
import static io.singleflight.examples.context.Contexts.inThisContext;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.singleflight.Freshness;
import io.singleflight.SingleFlight;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;
import org.slf4j.MDC;

class ContextsTest {

  private static final Duration A_DAY = Duration.ofDays(1);

  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final CountDownLatch gate = new CountDownLatch(1);
  private final Logger log = (Logger) LoggerFactory.getLogger(ContextsTest.class);
  private final ListAppender<ILoggingEvent> logged = new ListAppender<>();

  private final SingleFlight<String, String> plain = SingleFlight.create();
  private final SingleFlight<String, String> flights =
      SingleFlight.<String, String>builder().executor(carryingContext(threads)).build();

  @BeforeEach
  void collectTheLog() {
    logged.start();
    log.addAppender(logged);
  }

  @AfterEach
  void cleanUp() {
    log.detachAppender(logged);
    leaveContext();
    gate.countDown();
    threads.shutdownNow();
  }

  private static void enterContext(String tenant) {
    TENANT.set(tenant);
    MDC.put("tenant", tenant);
  }

  private static void leaveContext() {
    TENANT.remove();
    MDC.clear();
  }

  /** Logs a line and returns the context of this thread: the thread local and the MDC's entry. */
  private String load(String key) {
    log.info("loading {}", key);
    return context();
  }

  private static String context() {
    return TENANT.get() + "/" + MDC.get("tenant");
  }

  /** Runs a caller on a thread of its own, in a context of its own. */
  private static FutureTask<String> caller(String tenant, CallerCode code) {
    FutureTask<String> task =
        new FutureTask<>(() -> {
          enterContext(tenant);
          String value = code.run();
          return "got " + value + " in " + context();
        });
    Thread thread = new Thread(task);
    thread.setDaemon(true);
    thread.start();
    return task;
  }

  private interface CallerCode {
    String run() throws Exception;
  }

  private static void awaitAboard(SingleFlight<?, ?> flights, int callers) {
    await()
        .until(() -> flights.inFlight().stream().mapToInt(each -> each.callers()).sum() == callers);
  }

  @Test
  void call_work_runsInItsCallersContext() throws Exception {
    enterContext("acme");
    assertThat(plain.call("a", this::load)).isEqualTo("acme/acme");
    assertThat(logged.list)
        .singleElement()
        .satisfies(line -> assertThat(line.getMDCPropertyMap()).containsEntry("tenant", "acme"));
  }

  @Test
  void callAll_work_runsInItsCallersContext() throws Exception {
    enterContext("acme");
    assertThat(plain.callAll(List.of("a"), keys -> Map.of("a", load("a"))))
        .containsEntry("a", "acme/acme");
  }

  @Test
  void submit_plainExecutor_losesTheContext() throws Exception {
    enterContext("acme");
    assertThat(plain.submit("a", this::load).get()).isEqualTo("null/null");
    assertThat(plain.call("a", A_DAY, this::load)).isEqualTo("null/null");
  }

  @Test
  void submit_executorCarriesContext_runsInItsCallersContext() throws Exception {
    enterContext("acme");
    assertThat(flights.submit("a", this::load).get()).isEqualTo("acme/acme");
    assertThat(flights.call("a", A_DAY, this::load)).isEqualTo("acme/acme");
    assertThat(logged.list)
        .hasSize(2)
        .allSatisfy(line -> assertThat(line.getMDCPropertyMap()).containsEntry("tenant", "acme"));
  }

  @Test
  void submit_workHasEnded_leavesTheExecutorsThreadClean() throws Exception {
    ExecutorService oneThread = Executors.newSingleThreadExecutor();
    try {
      SingleFlight<String, String> flights =
          SingleFlight.<String, String>builder().executor(carryingContext(oneThread)).build();
      enterContext("acme");
      assertThat(flights.submit("a", this::load).get()).isEqualTo("acme/acme");
      assertThat(oneThread.submit(ContextsTest::context).get()).isEqualTo("null/null");
    } finally {
      oneThread.shutdownNow();
    }
  }

  @Test
  void callAsync_functionAndCallbacks_runWhereTheyRun() throws Exception {
    enterContext("acme");
    CompletableFuture<String> stage = new CompletableFuture<>();
    CompletableFuture<String> function = new CompletableFuture<>();
    CompletableFuture<String> answer =
        flights.callAsync(
            "a",
            key -> {
              function.complete(load(key));
              return stage;
            });
    CompletableFuture<String> bare = answer.thenApply(value -> context());
    CompletableFuture<String> wrapped = new CompletableFuture<>();
    CompletableFuture<Void> callback =
        answer.thenAccept(
            SNAPSHOTS.captureAll().wrap((String value) -> wrapped.complete(context())));
    threads.submit(() -> stage.complete("value")).get();
    callback.get();
    assertThat(function).isCompletedWithValue("acme/acme");
    assertThat(bare).isCompletedWithValue("null/null");
    assertThat(wrapped).isCompletedWithValue("acme/acme");
  }

  @Test
  void call_follower_getsTheLeadersValueAndKeepsItsOwnContext() throws Exception {
    FutureTask<String> leader =
        caller(
            "acme",
            () ->
                flights.call(
                    "a",
                    key -> {
                      gate.await();
                      return load(key);
                    }));
    awaitAboard(flights, 1);
    FutureTask<String> follower = caller("zeta", () -> flights.call("a", this::load));
    awaitAboard(flights, 2);
    gate.countDown();
    assertThat(leader.get()).isEqualTo("got acme/acme in acme/acme");
    assertThat(follower.get()).isEqualTo("got acme/acme in zeta/zeta");
  }

  @Test
  void call_handedOff_runsInTheFollowersContext() throws Exception {
    CompletableFuture<Thread> leader = new CompletableFuture<>();
    caller(
        "acme",
        () ->
            flights.call(
                "a",
                key -> {
                  leader.complete(Thread.currentThread());
                  gate.await();
                  return load(key);
                }));
    Thread toInterrupt = leader.get();
    FutureTask<String> follower = caller("zeta", () -> flights.call("a", this::load));
    awaitAboard(flights, 2);
    toInterrupt.interrupt();
    assertThat(follower.get()).isEqualTo("got zeta/zeta in zeta/zeta");
  }

  /** The thread that hands the follower's work over is the library's own, and has no context. */
  @Test
  void submit_handedOff_runsInTheFollowersContextOnlyIfTheWorkCarriesIt() throws Exception {
    for (boolean carried : new boolean[] {false, true}) {
      CompletableFuture<Thread> leader = new CompletableFuture<>();
      CountDownLatch never = new CountDownLatch(1);
      caller(
          "acme",
          () ->
              flights.call(
                  "a",
                  key -> {
                    leader.complete(Thread.currentThread());
                    never.await();
                    return "never";
                  }));
      Thread toInterrupt = leader.get();
      enterContext("zeta");
      Future<String> follower =
          carried
              ? flights.submit("a", inThisContext(this::load))
              : flights.submit("a", this::load);
      leaveContext();
      toInterrupt.interrupt();
      assertThat(follower.get()).isEqualTo(carried ? "zeta/zeta" : "null/null");
    }
  }

  /** The thread that hands a work over when its turn has come is the library's own. */
  @Test
  void submit_waitedItsTurn_runsInItsCallersContextOnlyIfTheWorkCarriesIt() throws Exception {
    for (boolean carried : new boolean[] {false, true}) {
      SingleFlight<String, String> flights =
          SingleFlight.<String, String>builder()
              .freshness(Freshness.NEXT)
              .executor(carryingContext(threads))
              .build();
      CountDownLatch ahead = new CountDownLatch(1);
      caller(
          "acme",
          () ->
              flights.call(
                  "a",
                  key -> {
                    ahead.await();
                    return load(key);
                  }));
      awaitAboard(flights, 1);
      enterContext("zeta");
      Future<String> waiting =
          carried
              ? flights.submit("a", inThisContext(this::load))
              : flights.submit("a", this::load);
      leaveContext();
      ahead.countDown();
      assertThat(waiting.get()).isEqualTo(carried ? "zeta/zeta" : "null/null");
    }
  }

  /** The code that the page shows is code that is compiled, and most of it tested above. */
  @Test
  void page_everySnippet_isCompiledCode() throws Exception {
    Path sources = Path.of("src");
    String code =
        words(Files.readString(sources.resolve("main/java/" + path("Contexts"))))
            + words(Files.readString(sources.resolve("test/java/" + path("ContextsTest"))));
    List<String> snippets =
        Pattern.compile("```java\n(.*?)```", Pattern.DOTALL)
            .matcher(Files.readString(Path.of("../../docs/context.md")))
            .results()
            .map((MatchResult each) -> words(each.group(1)))
            .toList();
    assertThat(snippets)
        .hasSizeGreaterThan(2)
        .allSatisfy(snippet -> assertThat(code).contains(snippet));
  }

  private static String path(String name) {
    return ContextsTest.class.getPackageName().replace('.', '/') + "/" + name + ".java";
  }

  private static String words(String text) {
    return text.replaceAll("\\s+", "");
  }
}
