package io.singleflight.examples.customers;

import static com.microsoft.playwright.assertions.PlaywrightAssertions.assertThat;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import com.microsoft.playwright.options.ColorScheme;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * The page in a real, headless Chromium. Without one it is skipped, and says so; where {@code CI}
 * is set it fails instead. {@code -Dchromium=FILE} says where it is, {@code -DskipBrowser} skips in
 * any case, {@code -Dscreenshot=FILE} takes the picture that the README shows.
 */
@SuppressWarnings("try") // what is held is not used, only closed
class PageBrowserTest {
  private static final int HERD = 60;
  private static final double TIMEOUT_MILLIS = 60_000;
  private static final Duration DEADLINE = Duration.ofSeconds(60);

  @TempDir private static Path folder;
  private static CustomerDatabase customers;
  private static Playwright playwright;
  private static Browser browser;

  private final List<String> faults = new ArrayList<>();
  private Service service;
  private Page page;

  @BeforeAll
  static void startBrowser() throws Exception {
    Path chromium = chromium();
    customers = CustomerDatabase.open(CustomerDatabase.embedded(folder), DEADLINE, orders -> {});
    playwright =
        Playwright.create(
            new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
    browser =
        playwright
            .chromium()
            .launch(
                new BrowserType.LaunchOptions()
                    .setExecutablePath(chromium)
                    .setArgs(List.of("--no-sandbox")));
  }

  @AfterAll
  static void stopBrowser() {
    if (playwright != null) {
      playwright.close();
    }
    if (customers != null) {
      customers.close();
    }
  }

  @BeforeEach
  void openPage() throws Exception {
    service = Service.start(customers, DEADLINE, 0);
    page =
        browser.newPage(
            new Browser.NewPageOptions().setViewportSize(1240, 840).setDeviceScaleFactor(1.5));
    page.setDefaultTimeout(TIMEOUT_MILLIS);
    page.onPageError(faults::add);
    page.onConsoleMessage(message -> {
      if (message.type().equals("error")) {
        faults.add(message.text());
      }
    });
    page.onRequest(request -> {
      if (!request.url().startsWith(service.uri().toString())) {
        faults.add("not served from here: " + request.url());
      }
    });
    page.navigate(service.uri().toString());
  }

  @AfterEach
  void closePage() throws Exception {
    page.close();
    service.close();
  }

  @Test
  void button_withoutAndWithSharing_partsTheCurves() throws Exception {
    long queriesBefore = customers.queries();
    long start = System.currentTimeMillis();
    sendHerd(HERD, 1, false);
    awaitDrawn();
    long middle = System.currentTimeMillis();
    sendHerd(HERD, 1, true);
    awaitDrawn();

    assertThat(drawn("requests", start, middle)).isCloseTo(HERD, withinPercentage(10));
    assertThat(drawn("requests", middle, Long.MAX_VALUE)).isCloseTo(HERD, withinPercentage(10));
    assertThat(drawn("queries", start, middle)).isCloseTo(HERD, withinPercentage(10));
    assertThat(drawn("queries", middle, Long.MAX_VALUE)).isBetween(0.9, HERD / 6.0);
    assertThat(highest("p99", start, middle)).isPositive();

    JsonNode server = new Client(service).live();
    assertThat(page.locator("#answered")).hasText(server.get("answered").asString());
    assertThat(page.locator("#queries")).hasText(server.get("queries").asString());
    assertThat(server.get("answered").asLong()).isEqualTo(2 * HERD);
    assertThat(server.get("queries").asLong()).isEqualTo(customers.queries());

    List<String> with = herdRow(1);
    List<String> without = herdRow(2);
    assertThat(without.subList(0, 5)).containsExactly("1 customer", "off", "60", "60", "1.0");
    assertThat(with.subList(0, 3)).containsExactly("1 customer", "on", "60");
    assertThat(Long.parseLong(with.get(3)) + Long.parseLong(without.get(3)))
        .isEqualTo(customers.queries() - queriesBefore);
    assertThat(faults).isEmpty();

    if (System.getProperty("screenshot") != null) {
      takeScreenshot(Path.of(System.getProperty("screenshot")));
    }
  }

  @Test
  void flights_whileCallersWait_areListed() throws Exception {
    try (HeldConnections held = new HeldConnections(customers)) {
      fill(HERD, 1, true);
      page.click("#send");

      assertThat(page.locator("#flights tbody tr td:nth-child(1)")).hasText("customer-1");
      assertThat(page.locator("#flights tbody tr td:nth-child(3)")).hasText("60");
      assertThat(page.locator("#waiting")).hasText("60");
      assertThat(page.locator("#send")).isDisabled();
    }
    assertThat(page.locator("#send")).isEnabled();
    assertThat(page.locator("#flights tbody")).containsText("None");
    assertThat(page.locator("#waiting")).hasText("0");
    assertThat(faults).isEmpty();
  }

  @Test
  void message_serviceGone_saysSo() throws Exception {
    assertThat(page.locator("#database")).containsText("H2");
    service.close();

    assertThat(page.locator("#message")).containsText("The service does not answer");
  }

  private void takeScreenshot(Path file) throws Exception {
    closePage();
    openPage();
    sendHerd(500, 1, false);
    for (int i = 0; i < 4; i++) {
      sendHerd(500, 1, true);
      awaitDrawn();
    }
    fill(500, 20, true);
    page.click("#send");
    page.waitForFunction("document.querySelectorAll('#flights tbody tr').length > 4");
    page.screenshot(new Page.ScreenshotOptions().setPath(file));
    page.emulateMedia(new Page.EmulateMediaOptions().setColorScheme(ColorScheme.DARK));
    page.waitForFunction("!document.getElementById('send').disabled");
    page.click("#send");
    page.waitForFunction("document.querySelectorAll('#flights tbody tr').length > 4");
    page.screenshot(
        new Page.ScreenshotOptions()
            .setPath(
                file.resolveSibling(file.getFileName().toString().replace(".png", "-dark.png"))));
  }

  private void fill(int requests, int names, boolean sharing) {
    page.fill("#size", String.valueOf(requests));
    page.selectOption("#names", String.valueOf(names));
    if (page.isChecked("#sharing") != sharing) {
      page.click(".switch");
    }
    assertThat(page.locator("#sharing-state")).hasText(sharing ? "on" : "off");
  }

  private void sendHerd(int requests, int names, boolean sharing) {
    fill(requests, names, sharing);
    page.click("#send");
    assertThat(page.locator("#send")).isDisabled();
    page.waitForFunction("!document.getElementById('send').disabled");
  }

  private List<String> herdRow(int row) {
    return page.locator("#herds tbody tr:nth-child(" + row + ") td").allTextContents();
  }

  /* A sample that was taken now or later holds all that was answered before. */
  private void awaitDrawn() {
    page.waitForFunction(
        "now => charts.rates.data[0].at(-1) * 1000 >= now", (double) System.currentTimeMillis());
  }

  /* The area under a curve of the chart: what was counted in that time. */
  private double drawn(String curve, long from, long to) {
    Object area =
        page.evaluate(
            """
            ([curve, from, to]) => {
              const [at, ...curves] = charts.rates.data;
              const y = curves[curve === 'requests' ? 0 : 1];
              return at.reduce((sum, t, i) =>
                t * 1000 > from && t * 1000 <= to ? sum + y[i] * (i ? t - at[i - 1] : 0.5) : sum, 0);
            }\
            """,
            List.of(curve, (double) from, (double) to));
    return ((Number) area).doubleValue();
  }

  private double highest(String curve, long from, long to) {
    Object highest =
        page.evaluate(
            """
            ([curve, from, to]) => {
              const [at, ...curves] = charts.latency.data;
              const y = curves[curve === 'p99' ? 0 : 1];
              return Math.max(...y.filter((_, i) => at[i] * 1000 > from && at[i] * 1000 <= to));
            }\
            """,
            List.of(curve, (double) from, (double) to));
    return ((Number) highest).doubleValue();
  }

  private static Path chromium() {
    Assumptions.assumeTrue(
        System.getProperty("skipBrowser") == null, "-DskipBrowser: the page was not tested");
    String given = System.getProperty("chromium");
    if (given != null) {
      assertThat(Path.of(given)).as("-Dchromium").isExecutable();
      return Path.of(given);
    }
    Optional<Path> found =
        Stream.of(System.getenv("PATH").split(File.pathSeparator))
            .flatMap(folder ->
                Stream.of("chromium", "chromium-browser", "google-chrome", "chrome.exe")
                    .map(name -> Path.of(folder, name)))
            .filter(Files::isExecutable)
            .findFirst();
    String remedy =
        "No Chromium in PATH: the page was not tested. Install one (Debian: apt install chromium),"
            + " say where it is with -Dchromium=FILE, or skip this on purpose with -DskipBrowser.";
    if (found.isEmpty() && System.getenv("CI") == null) {
      System.err.println("SKIPPED " + PageBrowserTest.class.getSimpleName() + ": " + remedy);
      Assumptions.abort(remedy);
    }
    return found.orElseThrow(() -> new IllegalStateException(remedy));
  }
}
