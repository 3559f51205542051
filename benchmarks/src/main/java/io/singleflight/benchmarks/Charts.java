package io.singleflight.benchmarks;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import org.knowm.xchart.HorizontalBarChart;
import org.knowm.xchart.HorizontalBarChartBuilder;
import org.knowm.xchart.VectorGraphicsEncoder;
import org.knowm.xchart.VectorGraphicsEncoder.VectorGraphicsFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.internal.chartpart.Chart;
import org.knowm.xchart.style.AxesChartStyler;
import org.knowm.xchart.style.Styler.LegendPosition;

/** Charts as SVG, each in a light and a dark version. */
final class Charts {

  private enum Shade {
    LIGHT("", Color.WHITE, new Color(0x1f2328), new Color(0xd1d9e0), 0x0969da),
    DARK("-dark", new Color(0x0d1117), new Color(0xf0f6fc), new Color(0x3d444d), 0x4493f8);

    private final String suffix;
    private final Color ground;
    private final Color ink;
    private final Color lines;
    private final Color[] series;

    Shade(String suffix, Color ground, Color ink, Color lines, int ours) {
      this.suffix = suffix;
      this.ground = ground;
      this.ink = ink;
      this.lines = lines;
      this.series =
          new Color[] {
            new Color(ours),
            new Color(0xbf8700),
            new Color(0x2da44e),
            new Color(0xcf5f9e),
            new Color(0x8b949e),
            new Color(0xe5534b),
            new Color(0x986ee2)
          };
    }
  }

  private static final int WIDTH = 800;
  private static final Pattern DIGITS_UNSEEN = Pattern.compile("(\\d\\.\\d)\\d+");

  private final Path directory;

  Charts(Path directory) throws IOException {
    this.directory = Files.createDirectories(directory);
  }

  /** Horizontal bars, the first uppermost. */
  void bars(String name, String title, String unit, List<String> labels, List<Double> values)
      throws IOException {
    for (Shade shade : Shade.values()) {
      HorizontalBarChart chart =
          new HorizontalBarChartBuilder()
              .width(WIDTH)
              .height(80 + 34 * labels.size())
              .title(title)
              .xAxisTitle(unit)
              .build();
      style(chart.getStyler(), shade);
      chart.getStyler().setLegendVisible(false);
      chart.getStyler().setAvailableSpaceFill(0.6);
      chart.getStyler().setLabelsVisible(true);
      chart.getStyler().setLabelsPosition(1.05);
      chart.getStyler().setLabelsFontColorAutomaticEnabled(false);
      chart.getStyler().setLabelsFontColor(shade.ink);
      chart.getStyler().setXAxisTickMarkSpacingHint(25);
      chart.getStyler().setPlotGridHorizontalLinesVisible(false);
      chart.getStyler().setXAxisMin(0.0);
      chart.getStyler().setXAxisMax(1.15 * values.stream().max(Double::compare).orElseThrow());
      chart.addSeries(unit, values.stream().map(Charts::threeDigits).toList(), labels);
      save(chart, name, shade);
    }
  }

  /** Lines over the same positions, both axes logarithmic. */
  void lines(
      String name,
      String title,
      String xTitle,
      String yTitle,
      List<Double> positions,
      Map<String, List<Double>> series)
      throws IOException {
    for (Shade shade : Shade.values()) {
      XYChart chart =
          new XYChartBuilder()
              .width(WIDTH)
              .height(420)
              .title(title)
              .xAxisTitle(xTitle)
              .yAxisTitle(yTitle)
              .build();
      style(chart.getStyler(), shade);
      chart.getStyler().setXAxisLogarithmicDecadeOnly(true);
      chart.getStyler().setYAxisLogarithmicDecadeOnly(true);
      chart.getStyler().setXAxisLogarithmic(true);
      chart.getStyler().setYAxisLogarithmic(true);
      chart.getStyler().setLegendPosition(LegendPosition.OutsideS);
      chart.getStyler().setMarkerSize(7);
      series.forEach((label, values) -> chart.addSeries(label, positions, values));
      save(chart, name, shade);
    }
  }

  private static void style(AxesChartStyler styler, Shade shade) {
    Font plain = new Font(Font.SANS_SERIF, Font.PLAIN, 13);
    styler.setBaseFont(plain);
    styler.setChartTitleFont(plain.deriveFont(Font.BOLD, 15f));
    styler.setAxisTitleFont(plain);
    styler.setAxisTickLabelsFont(plain);
    styler.setLegendFont(plain);
    styler.setChartBackgroundColor(shade.ground);
    styler.setPlotBackgroundColor(shade.ground);
    styler.setLegendBackgroundColor(shade.ground);
    styler.setLegendBorderColor(shade.ground);
    styler.setChartTitleBoxVisible(false);
    styler.setChartFontColor(shade.ink);
    styler.setXAxisTitleColor(shade.ink);
    styler.setYAxisTitleColor(shade.ink);
    styler.setAxisTickLabelsColor(shade.ink);
    styler.setAxisTickMarksColor(shade.lines);
    styler.setPlotBorderColor(shade.lines);
    styler.setPlotGridLinesColor(shade.lines);
    styler.setPlotGridLinesStroke(new BasicStroke(0.5f));
    styler.setSeriesColors(shade.series);
    styler.setXAxisDecimalPattern("#,##0.##");
    styler.setYAxisDecimalPattern("#,##0.##");
    styler.setLocale(Locale.ROOT);
  }

  private void save(Chart<?, ?> chart, String name, Shade shade) throws IOException {
    ByteArrayOutputStream svg = new ByteArrayOutputStream();
    VectorGraphicsEncoder.saveVectorGraphic(chart, svg, VectorGraphicsFormat.SVG);
    // Letters are drawn as outlines, whose coordinates make up nearly all of the file.
    String rounded = DIGITS_UNSEEN.matcher(svg.toString(UTF_8)).replaceAll("$1");
    Files.writeString(directory.resolve(name + shade.suffix + ".svg"), rounded);
  }

  private static double threeDigits(double value) {
    return new BigDecimal(value).round(new MathContext(3)).doubleValue();
  }
}
