package io.singleflight.micrometer;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.singleflight.SingleFlight;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The queries name only meters, tags of theirs and values that exist, and leave no meter out. */
class DashboardTest {

  private final PrometheusMeterRegistry registry =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final FlightMeters meters = FlightMeters.of(registry, "customers");
  private final SingleFlight<String, String> watched =
      meters.watch(SingleFlight.<String, String>builder().listener(meters).build());
  private final Promql series = new Promql(registry.scrape());

  @Test
  void queries_ofEveryPanel_nameOnlyMetersTagsAndValuesThatExist() {
    Dashboard dashboard = Dashboard.read();
    assertThat(dashboard.panels()).hasSizeGreaterThan(3);
    assertThat(dashboard.expressions()).allSatisfy(this::namesOnlyWhatExists);
    assertThat(dashboard.variables())
        .containsExactly("label_values(singleflight_calls_total, name)");
    assertThat(series.metrics()).contains("singleflight_calls_total");
  }

  private void namesOnlyWhatExists(String expression) {
    assertThat(Dashboard.metrics(expression)).isNotEmpty();
    assertThat(series.unknown(expression)).as(expression).isEmpty();
  }

  @Test
  void panels_allTogether_showEveryMeter() {
    Set<String> shown = new TreeSet<>();
    Dashboard.read().expressions().forEach(each -> shown.addAll(Dashboard.metrics(each)));
    assertThat(shown).isEqualTo(series.metrics());
  }

  /** The alerts that the page recommends. */
  @Test
  void alerts_ofThePage_nameOnlyMetersTagsAndValuesThatExist() throws IOException {
    List<String> alerts =
        Pattern.compile("(?s)```promql\n(.*?)```")
            .matcher(Files.readString(Path.of("../docs/observability.md")))
            .results()
            .map(block -> block.group(1))
            .toList();
    assertThat(alerts).hasSize(2).allSatisfy(this::namesOnlyWhatExists);
  }

  /** Callers wait and no flight ends: calls that join would be counted all the same. */
  @Test
  void alert_whileAFlightIsStuck_seesWaitersAndNoExecution() {
    CompletableFuture<String> stuck = new CompletableFuture<>();
    CompletableFuture<String> leader = watched.callAsync("a", key -> stuck);
    String before = registry.scrape();
    CompletableFuture<String> follower = watched.callAsync("a", key -> stuck);
    String after = registry.scrape();
    assertThat(sum(after, "singleflight_waiting")).isPositive();
    assertThat(sum(after, "singleflight_executions_seconds_count"))
        .isEqualTo(sum(before, "singleflight_executions_seconds_count"));
    assertThat(sum(after, "singleflight_calls_total"))
        .isGreaterThan(sum(before, "singleflight_calls_total"));
    stuck.complete("found");
    assertThat(leader.join() + follower.join()).isEqualTo("foundfound");
    assertThat(sum(registry.scrape(), "singleflight_executions_seconds_count"))
        .isGreaterThan(sum(after, "singleflight_executions_seconds_count"));
  }

  private static double sum(String page, String metric) {
    return Pattern.compile("(?m)^" + metric + "\\{.*} (\\S+)$")
        .matcher(page)
        .results()
        .map((MatchResult sample) -> sample.group(1))
        .mapToDouble(Double::parseDouble)
        .sum();
  }

  @Test
  void unknown_ofEachKind_isFound() {
    assertThat(series.unknown("sum by (role) (rate(singleflight_departures_total[5m]))"))
        .containsExactly("label role of singleflight_departures_total");
    assertThat(series.unknown("singleflight_calls_total{outcome=\"value\"}"))
        .containsExactly("label outcome of singleflight_calls_total");
    assertThat(series.unknown("singleflight_calls_total{role=\"leaders\"}"))
        .containsExactly("value leaders of role");
    assertThat(series.unknown("singleflight_calls{name=\"customers\"}"))
        .containsExactly("metric singleflight_calls");
    assertThat(series.unknown("singleflight_waiting / on (role) singleflight_calls_total"))
        .containsExactly("label role of singleflight_waiting");
    assertThat(series.unknown("sum by (role) (singleflight_calls_total) / singleflight_waiting"))
        .isEmpty();
  }

  @Test
  void metrics_ofAQueryThatNamesOthers_areFound() {
    String query =
        "sum by (role, key) (rate(singleflight_calls{name=~\"$name\", user!=\"b\"}[5m])) / other";
    assertThat(Dashboard.metrics(query)).containsExactly("other", "singleflight_calls");
    assertThat(Dashboard.metrics("max(a{b=\"c\"}) or avg_over_time(d[$__rate_interval])"))
        .containsExactly("a", "d");
  }
}
