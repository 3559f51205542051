package io.singleflight.examples.context;

import io.micrometer.context.ContextExecutorService;
import io.micrometer.context.ContextRegistry;
import io.micrometer.context.ContextSnapshot;
import io.micrometer.context.ContextSnapshotFactory;
import io.micrometer.context.integration.Slf4jThreadLocalAccessor;
import io.singleflight.Work;
import java.util.concurrent.ExecutorService;
import org.jspecify.annotations.Nullable;

/** Carries a caller's context, a thread local and SLF4J's MDC, to where its work runs. */
final class Contexts {

  static final ThreadLocal<String> TENANT = new ThreadLocal<>();

  static final ContextSnapshotFactory SNAPSHOTS =
      ContextSnapshotFactory.builder()
          .contextRegistry(
              new ContextRegistry()
                  .registerThreadLocalAccessor("tenant", TENANT)
                  .registerThreadLocalAccessor(new Slf4jThreadLocalAccessor()))
          .clearMissing(true)
          .build();

  private Contexts() {}

  /** Returns an executor whose tasks have the context of the thread that hands them over. */
  static ExecutorService carryingContext(ExecutorService executor) {
    return ContextExecutorService.wrap(executor, SNAPSHOTS);
  }

  /** Returns a work that has the context of the thread that calls this, wherever it runs. */
  @SuppressWarnings("try") // the scope is only closed
  static <K, V extends @Nullable Object, E extends Exception> Work<K, V, E> inThisContext(
      Work<K, V, E> work) {
    ContextSnapshot context = SNAPSHOTS.captureAll();
    return key -> {
      try (ContextSnapshot.Scope scope = context.setThreadLocals()) {
        return work.perform(key);
      }
    };
  }
}
