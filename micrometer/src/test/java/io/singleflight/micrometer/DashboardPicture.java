package io.singleflight.micrometer;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.singleflight.SingleFlight;
import java.awt.Color;
import java.awt.Font;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries.XYSeriesRenderStyle;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Draws the dashboard: puts load on two instances, has a real Prometheus record them, asks it each
 * panel's own queries, and draws what it answers. Not part of the build; it takes three minutes:
 *
 * <pre>{@code
 * ./mvnw -pl micrometer -am test -Dtest=DashboardPicture -Dsurefire.failIfNoSpecifiedTests=false \
 *     -Dprometheus=/usr/bin/prometheus
 * }</pre>
 */
class DashboardPicture {

  private static final Path PICTURE = Path.of("../docs/images/dashboard.png");
  private static final int SECONDS = 170;

  private final PrometheusMeterRegistry registry =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final HttpClient http = HttpClient.newHttpClient();
  private final ScheduledExecutorService clock = Executors.newScheduledThreadPool(2);
  private final SplittableRandom random = new SplittableRandom(7);

  @Test
  @Timeout(value = 10, unit = TimeUnit.MINUTES)
  void draw(@TempDir Path directory) throws Exception {
    String prometheus = System.getProperty("prometheus");
    assertThat(prometheus).as("give -Dprometheus=FILE").isNotNull();
    HttpServer target = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    target.createContext(
        "/metrics",
        exchange -> {
          byte[] page = registry.scrape().getBytes(UTF_8);
          exchange.sendResponseHeaders(200, page.length);
          exchange.getResponseBody().write(page);
          exchange.close();
        });
    target.start();
    int port = freePort();
    Path config = directory.resolve("prometheus.yml");
    Files.writeString(
        config,
        """
        global: {scrape_interval: 1s}
        scrape_configs:
          - job_name: example
            static_configs: [{targets: ["127.0.0.1:%d"]}]
        """
            .formatted(target.getAddress().getPort()));
    Process recorder =
        new ProcessBuilder(
                prometheus,
                "--config.file=" + config,
                "--storage.tsdb.path=" + directory.resolve("data"),
                "--web.listen-address=127.0.0.1:" + port)
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("log").toFile())
            .start();
    String api = "http://127.0.0.1:" + port;
    try {
      Awaitility.await()
          .atMost(Duration.ofMinutes(1))
          .ignoreExceptions()
          .until(() -> get(api + "/-/ready").contains("Ready"));
      Instant from = Instant.now();
      load();
      draw(api, from.plusSeconds(8), Instant.now());
    } finally {
      recorder.destroy();
      recorder.waitFor();
      target.stop(0);
      clock.shutdownNow();
    }
  }

  private static int freePort() throws Exception {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }

  /** A calm minute, a herd on one customer, and then a database that has become slow. */
  private void load() throws InterruptedException {
    SingleFlight<String, String> customers = instance("customers");
    SingleFlight<String, String> orders = instance("orders");
    for (int tick = 0; tick < SECONDS * 50; tick++) {
      boolean herd = tick > 55 * 50 && tick < 110 * 50;
      boolean slow = tick >= 110 * 50 && tick < 145 * 50;
      clock.schedule(
          () -> {
            int calls = herd ? 12 : 2;
            for (int i = 0; i < calls; i++) {
              ask(customers, "customer " + random.nextInt(herd ? 2 : 60), slow ? 900 : 120, slow);
            }
            ask(orders, "order " + random.nextInt(8), 60, false);
          },
          tick * 20L,
          TimeUnit.MILLISECONDS);
    }
    CountDownLatch end = new CountDownLatch(1);
    clock.schedule(end::countDown, SECONDS, TimeUnit.SECONDS);
    end.await();
  }

  private SingleFlight<String, String> instance(String name) {
    FlightMeters meters = FlightMeters.of(registry, name);
    return meters.watch(
        SingleFlight.<String, String>builder()
            .name(name)
            .handOffOn(SecurityException.class::isInstance)
            .listener(meters)
            .build());
  }

  private void ask(SingleFlight<String, String> flights, String key, long millis, boolean hasty) {
    int ending = random.nextInt(100);
    var answer =
        flights.submit(
            key,
            mine -> {
              assertThat(new CountDownLatch(1).await(millis, TimeUnit.MILLISECONDS)).isFalse();
              return switch (ending) {
                case 0, 1, 2 -> throw new IllegalStateException("no such row");
                case 3, 4 -> throw new SecurityException("the login of this caller was refused");
                default -> "row";
              };
            });
    if (hasty) {
      answer.orTimeout(random.nextInt(600, 1_200), TimeUnit.MILLISECONDS);
    }
  }

  private void draw(String api, Instant from, Instant to) throws Exception {
    List<XYChart> charts = new ArrayList<>();
    for (Dashboard.Panel panel : Dashboard.read().panels()) {
      XYChart chart = new XYChartBuilder().width(620).height(290).title(panel.title()).build();
      style(chart, panel);
      for (Dashboard.Query query : panel.queries()) {
        JsonNode series = ask(api, query, from, to);
        assertThat(series.size()).as(query.expression()).isPositive();
        for (JsonNode each : series) {
          add(chart, query, each);
        }
      }
      charts.add(chart);
    }
    Files.createDirectories(PICTURE.getParent());
    BitmapEncoder.saveBitmap(charts, charts.size() / 2, 2, PICTURE.toString(), BitmapFormat.PNG);
  }

  private JsonNode ask(String api, Dashboard.Query query, Instant from, Instant to)
      throws Exception {
    String expression = query.expression().replace("$name", ".*").replace("$__rate_interval", "8s");
    JsonNode answer =
        JsonMapper.shared()
            .readTree(
                get(
                    "%s/api/v1/query_range?query=%s&start=%d&end=%d&step=1"
                        .formatted(
                            api,
                            URLEncoder.encode(expression, UTF_8),
                            from.getEpochSecond(),
                            to.getEpochSecond())));
    assertThat(answer.path("status").asString()).as(expression).isEqualTo("success");
    return answer.path("data").path("result");
  }

  private static void add(XYChart chart, Dashboard.Query query, JsonNode series) {
    List<Date> times = new ArrayList<>();
    List<Double> values = new ArrayList<>();
    for (JsonNode sample : series.path("values")) {
      double value = Double.parseDouble(sample.path(1).asString());
      times.add(new Date(sample.path(0).asLong() * 1000));
      values.add(Double.isFinite(value) ? value : Double.NaN);
    }
    String legend = query.legend();
    for (var label : series.path("metric").properties()) {
      legend = legend.replace("{{" + label.getKey() + "}}", label.getValue().asString());
    }
    var drawn = chart.addSeries(legend, times, values);
    drawn.setMarker(SeriesMarkers.NONE);
    drawn.setLineWidth(2);
  }

  private static void style(XYChart chart, Dashboard.Panel panel) {
    var styler = chart.getStyler();
    styler.setDefaultSeriesRenderStyle(XYSeriesRenderStyle.Line);
    styler.setChartBackgroundColor(Color.WHITE);
    styler.setPlotBorderVisible(false);
    styler.setPlotGridLinesColor(new Color(0xE4E7EB));
    styler.setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 14));
    styler.setLegendPosition(LegendPosition.OutsideS);
    styler.setLegendLayout(LegendLayout.Horizontal);
    styler.setLegendBorderColor(Color.WHITE);
    styler.setDatePattern("HH:mm:ss");
    styler.setYAxisMin(0.0);
    chart.setYAxisTitle(
        switch (panel.unit()) {
          case "ops" -> "per second";
          case "s" -> "seconds";
          default -> "";
        });
    styler.setYAxisTitleVisible(!panel.unit().equals("short"));
    styler.setSeriesColors(
        new Color[] {
          new Color(0x2A78D6), new Color(0xEB6834), new Color(0x1BAF7A), new Color(0x8A63D2)
        });
  }

  private String get(String uri) throws Exception {
    return http.send(HttpRequest.newBuilder(URI.create(uri)).build(), BodyHandlers.ofString())
        .body();
  }
}
