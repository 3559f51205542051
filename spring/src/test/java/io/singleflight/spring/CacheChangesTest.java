package io.singleflight.spring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.cache.Cache;
import org.springframework.cache.CacheManager;
import org.springframework.cache.concurrent.ConcurrentMapCache;
import org.springframework.cache.support.SimpleCacheManager;
import org.springframework.cache.transaction.TransactionAwareCacheManagerProxy;
import org.springframework.jdbc.datasource.DriverManagerDataSource;
import org.springframework.jdbc.support.JdbcTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** Who asks after a cache has changed gets nothing from before, whatever is being loaded. */
class CacheChangesTest {

  @RegisterExtension final Calls calls = new Calls();

  private final ApplicationContextRunner runner =
      new ApplicationContextRunner()
          .withConfiguration(AutoConfigurations.of(SingleFlightAutoConfiguration.class))
          .withPropertyValues("singleflight.cache.enabled=true");

  /** A cache that does without a lock, as those do that are on another machine. */
  static class RemoteCache extends ConcurrentMapCache {
    Runnable whileEvicting = () -> {};
    final AtomicInteger puts = new AtomicInteger();

    RemoteCache(String name) {
      super(name);
    }

    @Override
    @SuppressWarnings("unchecked")
    public <T> T get(Object key, Callable<T> loader) {
      ValueWrapper hit = get(key);
      if (hit != null) {
        return (T) hit.get();
      }
      try {
        T loaded = loader.call();
        put(key, loaded);
        return loaded;
      } catch (Exception e) {
        throw new ValueRetrievalException(key, loader, e);
      }
    }

    @Override
    public void put(Object key, Object value) {
      super.put(key, value);
      puts.incrementAndGet();
    }

    @Override
    public void evict(Object key) {
      whileEvicting.run();
      super.evict(key);
    }

    @Override
    @SuppressWarnings("unchecked")
    public <T> CompletableFuture<T> retrieve(Object key, Supplier<CompletableFuture<T>> loader) {
      // As Redis does: first it looks, then it loads.
      return CompletableFuture.completedFuture(get(key))
          .thenCompose(hit ->
              hit != null
                  ? CompletableFuture.completedFuture((T) hit.get())
                  : loader
                      .get()
                      .thenApply(loaded -> {
                        put(key, loaded);
                        return loaded;
                      }));
    }
  }

  private static CacheManager managerOf(Cache... caches) {
    SimpleCacheManager manager = new SimpleCacheManager();
    manager.setCaches(List.of(caches));
    manager.initializeCaches();
    return manager;
  }

  @FunctionalInterface
  interface Change {
    void make(CacheManager manager, Cache cache);
  }

  static Stream<Arguments> changes() {
    return Stream.of(
        change("evict", (manager, cache) -> cache.evict("key")),
        change("evictIfPresent", (manager, cache) -> cache.evictIfPresent("key")),
        change("put", (manager, cache) -> cache.put("key", "new")),
        change("putIfAbsent", (manager, cache) -> cache.putIfAbsent("key", "new")),
        change("clear", (manager, cache) -> cache.clear()),
        change("invalidate", (manager, cache) -> cache.invalidate()),
        change("resetCaches", (manager, cache) -> manager.resetCaches()));
  }

  private static Arguments change(String name, Change change) {
    return Arguments.of(name, change);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("changes")
  void change_whileAKeyIsLoaded_isJoinedByNobodyAndNotUndone(String name, Change change) {
    runner
        .withBean(CacheManager.class, () -> managerOf(new RemoteCache("names")))
        .run(context -> {
          CacheManager manager = context.getBean(CacheManager.class);
          Cache cache = manager.getCache("names");
          Held held = new Held();
          Future<String> before = calls.start(() -> cache.get("key", () -> held.perform("old")));
          held.awaitBegun(1);
          change.make(manager, cache);
          expectNew(context.getBean(SingleFlights.class), cache);
          held.open();
          assertThat(Calls.get(before)).isEqualTo("old");
          Cache.ValueWrapper left = cache.get("key");
          assertThat(left == null ? null : left.get()).isNotEqualTo("old");
        });
  }

  private void expectNew(SingleFlights instances, Cache cache) throws Exception {
    Future<String> after = calls.start(() -> cache.get("key", () -> "new"));
    await().until(() -> after.isDone() || Held.callers(instances, "cache") == 2);
    assertThat(after).isDone();
    assertThat(Calls.get(after)).isEqualTo("new");
  }

  @Test
  void evict_duringWhichALoadBegins_isJoinedByNobody() {
    RemoteCache remote = new RemoteCache("names");
    runner
        .withBean(CacheManager.class, () -> managerOf(remote))
        .run(context -> {
          Cache cache = context.getBean(CacheManager.class).getCache("names");
          Held held = new Held();
          remote.whileEvicting =
              () -> {
                remote.whileEvicting = () -> {};
                calls.start(() -> cache.get("key", () -> held.perform("old")));
                held.awaitBegun(1);
              };
          cache.evict("key");
          expectNew(context.getBean(SingleFlights.class), cache);
          held.open();
        });
  }

  @Test
  void evict_ofOtherKeysAndCaches_leavesALoadAlone() {
    runner
        .withBean(
            CacheManager.class,
            () -> managerOf(new RemoteCache("names"), new RemoteCache("others")))
        .run(context -> {
          CacheManager manager = context.getBean(CacheManager.class);
          Cache cache = manager.getCache("names");
          Held held = new Held();
          Future<String> one = calls.start(() -> cache.get("key", () -> held.perform("loaded")));
          held.awaitBegun(1);
          cache.evict("other key");
          manager.getCache("others").clear();
          Future<String> two = calls.start(() -> cache.get("key", () -> "joined nobody"));
          Held.awaitCallers(context.getBean(SingleFlights.class), "cache", 2);
          held.open();
          assertThat(Calls.get(one)).isEqualTo("loaded").isSameAs(Calls.get(two));
          assertThat(cache.get("key").get()).isEqualTo("loaded");
        });
  }

  @Test
  void evict_whileAFutureIsLoaded_isJoinedByNobodyAndNotUndone() {
    runner
        .withBean(CacheManager.class, () -> managerOf(new RemoteCache("names")))
        .run(context -> {
          Cache cache = context.getBean(CacheManager.class).getCache("names");
          CompletableFuture<String> pending = new CompletableFuture<>();
          CompletableFuture<String> before = cache.retrieve("key", () -> pending);
          cache.evict("key");
          CompletableFuture<String> after =
              cache.retrieve("key", () -> CompletableFuture.completedFuture("new"));
          assertThat(after).isCompletedWithValue("new");
          cache.evict("key");
          pending.complete("old");
          assertThat(Calls.get(before)).isEqualTo("old");
          await().until(() -> cache.get("key") == null);
        });
  }

  /** The cache goes on with a load that nobody waits for any more, and puts what it finds. */
  @Test
  void evict_whileALoadThatAllHaveLeftGoesOn_isNotUndone() {
    RemoteCache remote = new RemoteCache("names");
    runner
        .withBean(CacheManager.class, () -> managerOf(remote))
        .run(context -> {
          Cache cache = context.getBean(CacheManager.class).getCache("names");
          CompletableFuture<String> pending = new CompletableFuture<>();
          cache.retrieve("key", () -> pending).cancel(true);
          cache.evict("key");
          pending.complete("old");
          assertThat(remote.puts).hasValue(1);
          await().until(() -> cache.get("key") == null);
        });
  }

  @Test
  void evict_whileACallerLoadsThatRollsBack_isNotUndone() {
    runner
        .withBean(
            CacheManager.class,
            () -> new TransactionAwareCacheManagerProxy(managerOf(new RemoteCache("names"))))
        .run(context -> {
          Cache cache = context.getBean(CacheManager.class).getCache("names");
          transaction()
              .executeWithoutResult(status -> {
                status.setRollbackOnly();
                cache.get(
                    "key",
                    () -> {
                      Calls.get(
                          calls.start(() -> {
                            cache.evict("key");
                            return null;
                          }));
                      return "old";
                    });
              });
          assertThat(cache.get("key")).isNull();
        });
  }

  private static TransactionTemplate transaction() {
    return new TransactionTemplate(
        new JdbcTransactionManager(new DriverManagerDataSource("jdbc:h2:mem:")));
  }

  @Test
  void evict_inATransaction_holdsAfterItsCommit() {
    runner
        .withBean(
            CacheManager.class,
            () -> new TransactionAwareCacheManagerProxy(managerOf(new RemoteCache("names"))))
        .run(context -> {
          Cache cache = context.getBean(CacheManager.class).getCache("names");
          Held held = new Held();
          Future<String> before =
              transaction()
                  .execute(status -> {
                    cache.evict("key");
                    Future<String> load =
                        calls.start(() -> cache.get("key", () -> held.perform("old")));
                    held.awaitBegun(1);
                    return load;
                  });
          expectNew(context.getBean(SingleFlights.class), cache);
          held.open();
          assertThat(Calls.get(before)).isEqualTo("old");
          Cache.ValueWrapper left = cache.get("key");
          assertThat(left == null ? null : left.get()).isNotEqualTo("old");
        });
  }
}
