package io.singleflight.examples.customers;

import static com.microsoft.playwright.assertions.PlaywrightAssertions.assertThat;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;
import static org.awaitility.Awaitility.await;

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
  private static final int SHOWN = 250;
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
    sendHerd(HERD, 1, false);
    awaitDrawn(0, HERD);
    assertThat(drawn("queries", 0)).isCloseTo(HERD, withinPercentage(1));
    assertThat(page.evaluate("charts.latency.data[1].some(p99 => p99 > 0)")).isEqualTo(true);

    double middle = lastSample();
    sendHerd(HERD, 1, true);
    awaitDrawn(middle, HERD);
    assertThat(drawn("queries", middle)).isBetween(0.9, HERD / 6.0);

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
    sendHerd(SHOWN, 1, false);
    awaitDrawn(0, SHOWN);
    for (int i = 0; i < 4; i++) {
      double before = lastSample();
      sendHerd(SHOWN, 1, true);
      awaitDrawn(before, SHOWN);
    }
    fill(SHOWN, 20, true);
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

  private void awaitDrawn(double after, int answers) {
    await()
        .atMost(Duration.ofMinutes(1))
        .until(() -> drawn("requests", after), area -> area > answers - 0.5);
    assertThat(drawn("requests", after)).isCloseTo(answers, withinPercentage(1));
  }

  private double lastSample() {
    return ((Number) page.evaluate("charts.rates.data[0].at(-1)")).doubleValue();
  }

  /* The area under a curve of the chart: all that was counted after that sample. */
  private double drawn(String curve, double after) {
    Object area =
        page.evaluate(
            """
            ([curve, after]) => {
              const [at, requests, queries] = charts.rates.data;
              const rates = curve === 'requests' ? requests : queries;
              return at.reduce((sum, end, i) =>
                i > 0 && end > after ? sum + rates[i] * (end - at[i - 1]) : sum, 0);
            }\
            """,
            List.of(curve, after));
    return ((Number) area).doubleValue();
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
