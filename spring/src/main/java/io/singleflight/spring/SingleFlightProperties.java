package io.singleflight.spring;

import io.singleflight.Freshness;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * The properties, public so that tools find the options of an instance by its type. Thread-safe.
 *
 * @param instances Options of single-flight instances, by their names.
 * @param cache Coalescing of caches.
 */
@ConfigurationProperties(prefix = SingleFlightProperties.PREFIX, ignoreUnknownFields = false)
public record SingleFlightProperties(
    @DefaultValue Map<String, Instance> instances, @DefaultValue Cache cache) {

  static final String PREFIX = "singleflight";

  /**
   * Options of one instance.
   *
   * @param executor Name of the Executor bean that runs timed calls and completes futures. By
   *     default, a virtual thread per task where the JVM has them, else daemon threads.
   * @param freshness Which execution may answer a call: the one that is running, or only one that
   *     is yet to begin.
   * @param maxJoinAge Age after which a flight is no longer joined, so that one stuck flight cannot
   *     take a key down. Not together with freshness 'next'. By default, there is no such age.
   * @param maxFollowers How many followers a flight may have at a time. By default, any number.
   * @param handOffOn Types of failures that are the leader's own and not the key's: a follower
   *     performs its own call instead. The leader's interruption always is.
   * @param listeners Names of the FlightListener beans that are told of flights.
   */
  public record Instance(
      @Nullable String executor,
      @DefaultValue("running") Freshness freshness,
      @Nullable Duration maxJoinAge,
      @Nullable Integer maxFollowers,
      @DefaultValue List<Class<? extends Throwable>> handOffOn,
      @DefaultValue List<String> listeners) {}

  /**
   * Coalescing of caches.
   *
   * @param enabled Whether the caches of all CacheManager beans load a missing key once for all
   *     concurrent callers of '@Cacheable(sync = true)'.
   */
  public record Cache(@DefaultValue("false") boolean enabled) {}
}
