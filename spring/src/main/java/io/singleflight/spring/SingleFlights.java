package io.singleflight.spring;

import static java.util.Objects.requireNonNull;

import io.singleflight.SingleFlight;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;
import org.springframework.core.task.SimpleAsyncTaskExecutor;

/**
 * The single-flight instances of an application, by name. An instance is made when it is first
 * asked for, with the options of its properties, if there are any, and of the {@link
 * SingleFlightCustomizer} beans.
 *
 * <p>Annotated methods use these instances too, with keys of their own, which are never equal to
 * those of others. Thread-safe.
 */
public final class SingleFlights {

  /** Runs what is no flight. Unlike a bean, it never keeps who hands it a task waiting. */
  static final Executor THREADS = threads();

  private final Map<String, SingleFlight<Object, @Nullable Object>> instances =
      new ConcurrentHashMap<>();
  private final InstanceFactory factory;

  SingleFlights(Collection<String> names, InstanceFactory factory) {
    this.factory = factory;
    names.forEach(this::get);
  }

  /**
   * Returns the instance of a name, always the same.
   *
   * @param name the name
   * @param <K> the type of the keys: callers of one name that share keys have to agree
   * @param <V> the type of the values
   * @return the instance
   */
  @SuppressWarnings("unchecked")
  public <K, V extends @Nullable Object> SingleFlight<K, V> get(String name) {
    SingleFlight<Object, @Nullable Object> instance = instances.get(requireNonNull(name, "name"));
    return (SingleFlight<K, V>) (instance != null ? instance : make(name));
  }

  /* Customizers may ask for other instances meanwhile, which computeIfAbsent forbids. */
  private synchronized SingleFlight<Object, @Nullable Object> make(String name) {
    SingleFlight<Object, @Nullable Object> instance = instances.get(name);
    if (instance == null) {
      instance = factory.create(name);
      instances.put(name, instance);
    }
    return instance;
  }

  Map<String, SingleFlight<Object, @Nullable Object>> all() {
    return new TreeMap<>(instances);
  }

  private static Executor threads() {
    SimpleAsyncTaskExecutor executor = new SimpleAsyncTaskExecutor("singleflight-");
    executor.setVirtualThreads(Runtime.version().feature() >= 21);
    executor.setDaemon(true);
    return executor;
  }
}
