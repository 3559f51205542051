package io.singleflight.examples.customers;

import static com.microsoft.playwright.assertions.PlaywrightAssertions.assertThat;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;
import static org.awaitility.Awaitility.await;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import com.microsoft.playwright.assertions.PlaywrightAssertions;
import com.microsoft.playwright.options.AriaRole;
import com.microsoft.playwright.options.ColorScheme;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.JsonNode;

/**
 * The page in a real, headless Chromium. Without one it is skipped, and says so; where {@code CI}
 * is set it fails instead. {@code -Dchromium=FILE} says where it is, {@code -DskipBrowser} skips in
 * any case, {@code -Dscreenshot=FILE} takes the picture that the README shows.
 */
@SuppressWarnings("try") // what is held is not used, only closed
class PageBrowserTest {
  private static final int HERD = 30;
  private static final int SHOWN = 250;
  private static final double TIMEOUT_MILLIS = 60_000;
  private static final Duration DEADLINE = Duration.ofSeconds(60);

  /* Ages of more than a second are shown in tenths of one. */
  private static final double ROUNDED_MILLIS = 50;

  private static final String FAINT_TEXT =
      """
      () => {
        const channels = color => color.match(/[\\d.]+/g).map(Number);
        const luminance = color => channels(color).slice(0, 3)
          .map(c => c / 255)
          .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
          .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const behind = it => {
          const color = getComputedStyle(it).backgroundColor;
          return channels(color)[3] === 0 ? behind(it.parentElement) : color;
        };
        const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        return [...document.querySelectorAll('body *')]
          .filter(it => [...it.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim()))
          .filter(it => it.checkVisibility())
          .map(it => {
            const style = getComputedStyle(it);
            const size = parseFloat(style.fontSize);
            const large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
            const seen = contrast(luminance(style.color), luminance(behind(it)));
            return { text: it.textContent, seen, least: large ? 3 : 4.5 };
          })
          .filter(it => it.seen < it.least)
          .map(it => `${it.text.trim()}: ${it.seen.toFixed(2)} of ${it.least}`);
      }\
      """;

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
    PlaywrightAssertions.setDefaultAssertionTimeout(TIMEOUT_MILLIS);
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
    sendHerdAtOnce();
    awaitDrawn(middle, HERD);
    assertThat(drawn("queries", middle)).isCloseTo(1, withinPercentage(1));

    JsonNode server = new Client(service).live();
    assertThat(page.locator("#answered")).hasText(server.get("answered").asString());
    assertThat(page.locator("#queries")).hasText(server.get("queries").asString());
    assertThat(server.get("answered").asLong()).isEqualTo(2 * HERD);
    assertThat(server.get("queries").asLong()).isEqualTo(customers.queries());
    assertThat(customers.queries() - queriesBefore).isEqualTo(HERD + 1);

    String herd = String.valueOf(HERD);
    assertThat(herdRow(1)).startsWith("1 customer", "on", herd, "1", herd + ".0");
    assertThat(herdRow(2)).startsWith("1 customer", "off", herd, herd, "1.0");
    assertThat(page.locator("#message")).hasText(HERD + " requests took 1 query.");
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

      assertThat(flight("key")).hasText("customer-1");
      assertThat(flight("callers")).hasText(String.valueOf(HERD));
      assertThat(flight("leader")).not().isEmpty();
      assertThat(page.locator("#waiting")).hasText(String.valueOf(HERD));
      assertThat(page.locator("#send")).isDisabled();

      double age = millis(flight("age").textContent());
      await().until(() -> millis(flight("age").textContent()) > age);
      double seen = millis(flight("age").textContent());
      long now = new Client(service).live().get("flights").get(0).get("ageMillis").asLong();
      assertThat(seen).isPositive().isLessThan(now + ROUNDED_MILLIS);
    }
    assertThat(page.locator("#send")).isEnabled();
    assertThat(page.locator("#flights tbody")).containsText("None");
    assertThat(page.locator("#waiting")).hasText("0");
    assertThat(faults).isEmpty();
  }

  @Test
  void keyboard_alone_switchesSharingAndSendsHerds() {
    tabTo("#size");
    page.keyboard().press("Control+A");
    page.keyboard().type("5");
    tabTo("#sharing");
    assertThat(page.locator(".track")).hasCSS("outline-style", "solid");
    page.keyboard().press("Space");
    assertThat(page.locator("#sharing-state")).hasText("off");
    tabTo("#send");
    assertThat(page.locator("#send")).hasCSS("outline-style", "solid");
    page.keyboard().press("Enter");
    assertThat(page.locator("#herds tbody tr")).containsText("1 customeroff55");

    assertThat(page.locator("#send")).isEnabled();
    assertThat(page.locator("#send")).isFocused();
    page.keyboard().press("Shift+Tab");
    page.keyboard().press("Space");
    assertThat(page.locator("#sharing-state")).hasText("on");
    tabTo("#send");
    page.keyboard().press("Space");
    assertThat(page.locator("#herds tbody tr").first()).containsText("1 customeron5");
    assertThat(faults).isEmpty();
  }

  @Test
  void page_heardInsteadOfSeen_tellsTheSame() throws Exception {
    assertThat(page.getByRole(AriaRole.SWITCH, named("Sharing"))).isChecked();
    assertThat(page.getByRole(AriaRole.TABLE, named("Herds"))).isVisible();
    assertThat(page.getByRole(AriaRole.TABLE, named("Flights in progress"))).isVisible();
    assertThat(
            page.getByRole(AriaRole.COLUMNHEADER)
                .evaluateAll("headers => headers.every(header => header.scope === 'col')"))
        .isEqualTo(true);
    Locator rates = page.locator("#rates");
    Locator latency = page.locator("#latency");
    assertThat(rates).hasRole(AriaRole.IMG);
    assertThat(latency).hasRole(AriaRole.IMG);
    assertThat(rates).hasAccessibleName(Pattern.compile("\\d+ requests answered and \\d+ queries"));
    assertThat(latency).hasAccessibleName(Pattern.compile("No request was answered"));

    sendHerdAtOnce();
    assertThat(latency).hasAccessibleName(Pattern.compile("p99 [\\d.]+ m?s, p50 [\\d.]+ m?s"));
    assertThat(page.getByRole(AriaRole.ROWHEADER, named("1 customer"))).isVisible();
    assertThat(page.getByRole(AriaRole.STATUS)).hasText(HERD + " requests took 1 query.");
  }

  /** By the formula of WCAG 2, level AA: 4.5, or 3 for large text. */
  @ParameterizedTest
  @EnumSource(
      value = ColorScheme.class,
      names = {"LIGHT", "DARK"})
  void text_inEachColourScheme_standsOut(ColorScheme scheme) throws Exception {
    page.emulateMedia(new Page.EmulateMediaOptions().setColorScheme(scheme));
    sendHerdAtOnce();
    fill(HERD, 1, false);
    page.click("#send");
    assertThat(page.locator("#herds .off")).isVisible();
    assertThat(page.locator("#send")).isEnabled();

    assertThat((List<?>) page.evaluate(FAINT_TEXT)).isEmpty();
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
    page.waitForFunction("!underWay()");
    page.click("#send");
    page.waitForFunction("document.querySelectorAll('#flights tbody tr').length > 4");
    page.screenshot(
        new Page.ScreenshotOptions()
            .setPath(
                file.resolveSibling(file.getFileName().toString().replace(".png", "-dark.png"))));
    page.waitForFunction("!underWay()");
  }

  private void fill(int requests, int names, boolean sharing) {
    page.fill("#size", String.valueOf(requests));
    page.selectOption("#names", String.valueOf(names));
    if (page.isChecked("#sharing") != sharing) {
      page.click(".switch");
    }
    assertThat(page.locator("#sharing-state")).hasText(sharing ? "on" : "off");
  }

  /* All of it is aboard before the query starts: one query answers all. */
  private void sendHerdAtOnce() throws Exception {
    fill(HERD, 1, true);
    try (HeldConnections held = new HeldConnections(customers)) {
      page.click("#send");
      assertThat(flight("callers")).hasText(String.valueOf(HERD));
    }
    page.waitForFunction("!underWay()");
  }

  private void tabTo(String element) {
    for (int tabs = 0; tabs < 10; tabs++) {
      page.keyboard().press("Tab");
      if ((boolean) page.locator(element).evaluate("it => it === document.activeElement")) {
        return;
      }
    }
    throw new AssertionError("The keyboard does not get to " + element);
  }

  private Locator flight(String column) {
    int number = List.of("key", "age", "callers", "leader").indexOf(column) + 1;
    return page.locator("#flights tbody tr > :nth-child(" + number + ")");
  }

  private static double millis(String time) {
    double number = Double.parseDouble(time.replaceFirst(" m?s$", ""));
    return time.endsWith(" ms") ? number : number * 1_000;
  }

  private static Page.GetByRoleOptions named(String name) {
    return new Page.GetByRoleOptions().setName(name);
  }

  private void sendHerd(int requests, int names, boolean sharing) {
    fill(requests, names, sharing);
    page.click("#send");
    assertThat(page.locator("#send")).isDisabled();
    page.waitForFunction("!underWay()");
  }

  private List<String> herdRow(int row) {
    return page.locator("#herds tbody tr:nth-child(" + row + ") > *").allTextContents();
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
