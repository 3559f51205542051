package io.singleflight.micrometer;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.singleflight.SingleFlight;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The dashboard's queries name only meters and tags that exist, and leave none out. */
class DashboardTest {

  private static final Pattern SAMPLE = Pattern.compile("(?m)^([a-z_]+)\\{([^}]*)}");

  private final Set<String> metrics = new TreeSet<>();
  private final Set<String> labels = new TreeSet<>();

  DashboardTest() {
    PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    FlightMeters meters = FlightMeters.of(registry, "customers");
    SingleFlight<String, String> watched = meters.watch(SingleFlight.create());
    assertThat(watched.inFlight()).isEmpty();
    SAMPLE
        .matcher(registry.scrape())
        .results()
        .forEach(sample -> {
          metrics.add(sample.group(1));
          for (String label : sample.group(2).split(",")) {
            labels.add(label.substring(0, label.indexOf('=')));
          }
        });
  }

  @Test
  void queries_ofEveryPanel_nameOnlyMetersAndTagsThatExist() {
    Dashboard dashboard = Dashboard.read();
    assertThat(dashboard.panels()).hasSizeGreaterThan(3);
    assertThat(dashboard.expressions()).allSatisfy(this::namesOnlyWhatExists);
    assertThat(dashboard.variables())
        .containsExactly("label_values(singleflight_calls_total, name)");
    assertThat(metrics).contains("singleflight_calls_total");
    assertThat(labels).containsExactly("name", "outcome", "reason", "role");
  }

  private void namesOnlyWhatExists(String expression) {
    assertThat(Dashboard.metrics(expression)).isNotEmpty().isSubsetOf(metrics);
    assertThat(Dashboard.labels(expression)).isNotEmpty().isSubsetOf(labels);
  }

  @Test
  void panels_allTogether_showEveryMeter() {
    Set<String> shown = new TreeSet<>();
    Dashboard.read().expressions().forEach(each -> shown.addAll(Dashboard.metrics(each)));
    assertThat(shown).isEqualTo(metrics);
  }

  @Test
  void metrics_ofAQueryThatNamesOthers_areFound() {
    String query =
        "sum by (role, key) (rate(singleflight_calls{name=~\"$name\", user!=\"b\"}[5m])) / other";
    assertThat(Dashboard.metrics(query)).containsExactly("other", "singleflight_calls");
    assertThat(Dashboard.labels(query)).containsExactly("key", "name", "role", "user");
    assertThat(Dashboard.metrics("max(a{b=\"c\"}) or avg_over_time(d[$__rate_interval])"))
        .containsExactly("a", "d");
  }
}
