package io.singleflight.spring;

import static io.singleflight.spring.Held.awaitCallers;
import static io.singleflight.spring.Http.answer;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.singleflight.spring.CustomerDatabase.NoSuchCustomerException;
import io.singleflight.spring.Http.Answer;
import java.io.IOException;
import java.io.Serializable;
import java.net.ServerSocket;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.aop.support.AopUtils;
import org.springframework.beans.BeanUtils;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.cache.autoconfigure.CacheAutoConfiguration;
import org.springframework.boot.cache.autoconfigure.metrics.CacheMetricsAutoConfiguration;
import org.springframework.boot.data.redis.autoconfigure.DataRedisAutoConfiguration;
import org.springframework.boot.test.context.assertj.AssertableApplicationContext;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.test.context.runner.ContextConsumer;
import org.springframework.cache.Cache;
import org.springframework.cache.CacheManager;
import org.springframework.cache.annotation.Cacheable;
import org.springframework.cache.annotation.EnableCaching;
import org.springframework.cache.concurrent.ConcurrentMapCache;
import org.springframework.cache.concurrent.ConcurrentMapCacheManager;
import org.springframework.cache.support.CompositeCacheManager;
import org.springframework.cache.transaction.TransactionAwareCacheManagerProxy;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.data.redis.connection.RedisConnection;
import org.springframework.data.redis.connection.RedisConnectionFactory;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import reactor.core.publisher.Mono;
import redis.embedded.RedisServer;

/** Caches load a missing key once for all: on a real Redis, over real HTTP. */
class CacheTest {

  private static final int REQUESTS = 500;

  private static RedisServer redis;

  @BeforeAll
  static void startRedis() throws IOException {
    int port;
    try (ServerSocket free = new ServerSocket(0)) {
      port = free.getLocalPort();
    }
    redis = new RedisServer(port);
    redis.start();
  }

  @AfterAll
  static void stopRedis() throws IOException {
    redis.stop();
  }

  @EnableCaching
  @Import({CachedCustomers.class, CachedController.class})
  static class CachedApplication extends MvcApplication {}

  static class CachedCustomers {
    private final CustomerDatabase database;

    CachedCustomers(CustomerDatabase database) {
      this.database = database;
    }

    @Cacheable(cacheNames = "names", sync = true)
    public String name(long id) throws NoSuchCustomerException, InterruptedException {
      return database.query(id).name();
    }

    @Cacheable(cacheNames = "nicknames", sync = true)
    public String nickname(long id) throws InterruptedException {
      return database.held.perform(null);
    }

    @Cacheable(cacheNames = "futures", sync = true)
    public CompletableFuture<String> future(long id) {
      return CompletableFuture.supplyAsync(() -> load(id), task -> new Thread(task).start());
    }

    @Cacheable(cacheNames = "monos", sync = true)
    public Mono<String> mono(long id) {
      return Mono.fromFuture(() -> future(id));
    }

    private String load(long id) {
      try {
        return database.query(id).name();
      } catch (NoSuchCustomerException | InterruptedException e) {
        throw new CompletionException(e);
      }
    }
  }

  @RestController
  static class CachedController {
    private final CachedCustomers customers;

    CachedController(CachedCustomers customers) {
      this.customers = customers;
    }

    @GetMapping("/cached/names/{id}")
    String name(@PathVariable long id) throws NoSuchCustomerException, InterruptedException {
      return customers.name(id);
    }

    @ExceptionHandler
    @ResponseStatus(HttpStatus.NOT_FOUND)
    String notFound(NoSuchCustomerException failure) {
      return failure.getMessage() + " " + System.identityHashCode(failure);
    }

    @GetMapping("/cached/nicknames/{id}")
    String nickname(@PathVariable long id) throws InterruptedException {
      return "nickname: " + customers.nickname(id);
    }

    @GetMapping("/cached/futures/{id}")
    CompletableFuture<String> future(@PathVariable long id) {
      return customers.future(id);
    }

    @GetMapping("/cached/monos/{id}")
    Mono<String> mono(@PathVariable long id) {
      return customers.mono(id);
    }
  }

  private static Http start(boolean coalescing) {
    Http http =
        new Http(
            WebApplicationType.SERVLET,
            CachedApplication.class,
            "--spring.cache.type=redis",
            "--spring.data.redis.port=" + redis.ports().get(0),
            "--singleflight.cache.enabled=" + coalescing);
    // Not by clear(): Spring Data Redis clears behind the caller's back, maybe after the next put.
    try (RedisConnection connection = http.bean(RedisConnectionFactory.class).getConnection()) {
      connection.serverCommands().flushAll();
    }
    return http;
  }

  @Test
  void miss_byManyRequests_isOneLoad() throws Exception {
    try (Http http = start(true)) {
      Held held = http.bean(Held.class);
      List<CompletableFuture<Answer>> sent = http.get("/cached/names/1", REQUESTS);
      awaitCallers(http.instances(), "cache", REQUESTS);
      held.open();
      for (CompletableFuture<Answer> one : sent) {
        assertThat(answer(one)).isEqualTo(new Answer(200, "ada"));
      }
      assertThat(held.begun).hasValue(1);
      assertThat(answer(http.get("/cached/names/1")).body()).isEqualTo("ada");
      assertThat(held.begun).as("loads, and then a hit").hasValue(1);
    }
  }

  @Test
  void miss_withoutTheAdapter_isManyLoads() throws Exception {
    try (Http http = start(false)) {
      Held held = http.bean(Held.class);
      List<CompletableFuture<Answer>> sent = http.get("/cached/names/1", REQUESTS);
      held.awaitBegun(REQUESTS);
      held.open();
      for (CompletableFuture<Answer> one : sent) {
        assertThat(answer(one)).isEqualTo(new Answer(200, "ada"));
      }
    }
  }

  @Test
  void miss_ofFuturesAndMonos_isOneLoad() throws Exception {
    for (String kind : List.of("futures", "monos")) {
      try (Http http = start(true)) {
        Held held = http.bean(Held.class);
        List<CompletableFuture<Answer>> sent = http.get("/cached/" + kind + "/1", REQUESTS);
        awaitCallers(http.instances(), "cache", REQUESTS);
        held.open();
        for (CompletableFuture<Answer> one : sent) {
          assertThat(answer(one)).isEqualTo(new Answer(200, "ada"));
        }
        assertThat(held.begun).as("loads of %s", kind).hasValue(1);
      }
    }
  }

  @Test
  void miss_thatFails_failsAllOnceAndIsNotCached() throws Exception {
    try (Http http = start(true)) {
      Held held = http.bean(Held.class);
      List<CompletableFuture<Answer>> sent = http.get("/cached/names/3", 20);
      awaitCallers(http.instances(), "cache", 20);
      held.open();
      for (CompletableFuture<Answer> one : sent) {
        assertThat(answer(one).status()).isEqualTo(404);
        assertThat(answer(one)).isEqualTo(answer(sent.get(0)));
      }
      assertThat(held.begun).hasValue(1);
      assertThat(answer(http.get("/cached/names/3")).status()).isEqualTo(404);
      assertThat(held.begun).hasValue(2);
    }
  }

  @Test
  void null_isCached() throws Exception {
    try (Http http = start(true)) {
      Held held = http.bean(Held.class);
      held.open();
      assertThat(answer(http.get("/cached/nicknames/1")).body()).isEqualTo("nickname: null");
      assertThat(answer(http.get("/cached/nicknames/1")).body()).isEqualTo("nickname: null");
      assertThat(held.begun).hasValue(1);
    }
  }

  private final ApplicationContextRunner runner =
      new ApplicationContextRunner()
          .withConfiguration(AutoConfigurations.of(SingleFlightAutoConfiguration.class))
          .withPropertyValues("singleflight.cache.enabled=true");

  private void withBoot(String type, ContextConsumer<AssertableApplicationContext> test) {
    runner
        .withConfiguration(
            AutoConfigurations.of(
                CacheAutoConfiguration.class,
                CacheMetricsAutoConfiguration.class,
                DataRedisAutoConfiguration.class))
        .withUserConfiguration(Caching.class)
        .withPropertyValues(
            "spring.cache.type=" + type,
            "spring.cache.cache-names=names",
            "spring.cache.redis.enable-statistics=true",
            "spring.data.redis.port=" + redis.ports().get(0))
        .withBean(MeterRegistry.class, SimpleMeterRegistry::new)
        .run(test);
  }

  @Configuration(proxyBeanMethods = false)
  @EnableCaching
  static class Caching {}

  @ParameterizedTest
  @CsvSource({
    "simple, org.springframework.cache.concurrent.ConcurrentMapCacheManager, ",
    "caffeine, org.springframework.cache.caffeine.CaffeineCacheManager, cache.size",
    "redis, org.springframework.data.redis.cache.RedisCacheManager, cache.puts",
  })
  void cacheOfBoot_coalesces_isMeteredAndHasItsManagersClass(
      String type, Class<? extends CacheManager> manager, String meter) {
    withBoot(
        type,
        context -> {
          assertThat(context).hasNotFailed();
          Cache cache = context.getBean(manager).getCache("names");
          cache.put("key", "cached");
          await().until(() -> cache.get("key") != null);
          assertThat(cache.get("key").get()).isEqualTo("cached");
          assertThat(cache.getName()).isEqualTo("names");
          assertThat(cache.getNativeCache()).isNotNull();
          assertThat(cache)
              .isInstanceOf(CoalescingCache.class)
              .isEqualTo(context.getBean(CacheManager.class).getCache("names"));
          if (meter != null) {
            assertThat(
                    context.getBean(MeterRegistry.class).get(meter).tag("cache", "names").meters())
                .isNotEmpty();
          }
        });
  }

  @Test
  void value_thatIsACallable_isCachedAsItIs() {
    runner
        .withBean(ConcurrentMapCacheManager.class)
        .run(context -> {
          Cache cache = context.getBean(CacheManager.class).getCache("names");
          Callable<String> value = () -> "called";
          cache.put("key", value);
          assertThat(cache.get("key").get()).isSameAs(value);
        });
  }

  /** A manager whose subclass could not know what it knows. */
  static class FinalManager extends ConcurrentMapCacheManager {
    final String state() {
      return "known to me alone";
    }

    public final String publicState() {
      return state();
    }
  }

  /** A manager that promises more than a cache. */
  static class TypedManager implements CacheManager {
    private final ConcurrentMapCache cache = new ConcurrentMapCache("names");

    @Override
    public ConcurrentMapCache getCache(String name) {
      return cache;
    }

    @Override
    public List<String> getCacheNames() {
      return List.of("names");
    }
  }

  @ParameterizedTest
  @ValueSource(classes = {FinalManager.class, TypedManager.class})
  void manager_ofAClassThatCannotBeExtended_isProxiedByItsInterfaces(
      Class<? extends CacheManager> type) {
    runner
        .withBean(CacheManager.class, () -> BeanUtils.instantiateClass(type))
        .run(context -> {
          CacheManager manager = context.getBean(CacheManager.class);
          assertThat(AopUtils.isJdkDynamicProxy(manager)).isTrue();
          assertThat(manager.getCache("names").get("key", () -> "loaded")).isEqualTo("loaded");
          assertThat(manager.getCache("names").get("key", () -> "again")).isEqualTo("loaded");
        });
  }

  @Test
  void cache_thatIsNot_isNull() {
    runner
        .withBean(CacheManager.class, () -> new ConcurrentMapCacheManager("names"))
        .run(context ->
            assertThat(context.getBean(CacheManager.class).getCache("unknown")).isNull());
  }

  @Test
  void cache_ofAManagerWithinAnother_coalescesOnce() {
    runner
        .withBean("inner", ConcurrentMapCacheManager.class)
        .withBean("outer", CompositeCacheManager.class, () -> new CompositeCacheManager())
        .run(context -> {
          CacheManager inner = context.getBean("inner", CacheManager.class);
          CompositeCacheManager outer = context.getBean("outer", CompositeCacheManager.class);
          outer.setCacheManagers(List.of(inner));
          assertThat(outer.getCache("names")).isEqualTo(inner.getCache("names"));
        });
  }

  @Test
  void cache_ofAManagerThatHandsOutNewObjects_coalesces() {
    runner
        .withBean(
            CacheManager.class,
            () -> new TransactionAwareCacheManagerProxy(new ConcurrentMapCacheManager()))
        .run(context -> {
          CacheManager manager = context.getBean(CacheManager.class);
          CompletableFuture<Serializable> pending = new CompletableFuture<>();
          CompletableFuture<Serializable> one =
              manager.getCache("names").retrieve("key", () -> pending);
          CompletableFuture<Serializable> two =
              manager.getCache("names").retrieve("key", () -> new CompletableFuture<>());
          assertThat(Held.callers(context.getBean(SingleFlights.class), "cache")).isEqualTo(2);
          pending.complete("loaded");
          assertThat(Calls.get(one)).isEqualTo("loaded");
          assertThat(Calls.get(two)).isEqualTo("loaded");
        });
  }

  @Test
  void load_ofTheSameKeyInsideItself_throwsAtOnce() {
    runner
        .withBean(ConcurrentMapCacheManager.class)
        .run(context -> {
          Cache cache = context.getBean(CacheManager.class).getCache("names");
          assertThatThrownBy(() -> cache.get("key", () -> cache.get("key", () -> "never")))
              .isInstanceOf(Cache.ValueRetrievalException.class)
              .rootCause()
              .hasMessageContaining("names::key");
        });
  }

  @ParameterizedTest
  @CsvSource({"true, true", "on, true", "false, false", "off, false", "no, false", "0, false"})
  void adapter_thatIsNotEnabled_leavesManagersAlone(String enabled, boolean coalesces) {
    ConcurrentMapCacheManager manager = new ConcurrentMapCacheManager();
    runner
        .withPropertyValues("singleflight.cache.enabled=" + enabled)
        .withBean(CacheManager.class, () -> manager)
        .run(context ->
            assertThat(context.getBean(CacheManager.class) != manager).isEqualTo(coalesces));
  }

  @Test
  void adapter_enabledByNoTruthValue_failsTheStart() {
    runner
        .withPropertyValues("singleflight.cache.enabled=maybe")
        .run(context ->
            assertThat(context).getFailure().hasStackTraceContaining("singleflight.cache.enabled"));
  }
}
