package io.singleflight.micrometer;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The Grafana dashboard, as far as tests and its picture need to understand it. */
record Dashboard(List<Panel> panels, List<String> variables) {

  record Panel(String title, String unit, boolean stacked, List<Query> queries) {}

  record Query(String expression, String legend) {}

  static final Path FILE = Path.of("../docs/grafana/singleflight.json");

  private static final Pattern LABELS = Pattern.compile("\\{([^}]*)}");
  private static final Pattern GROUPING =
      Pattern.compile("\\b(?:by|without|on|ignoring) *\\(([^)]*)\\)");
  private static final Pattern NAME =
      Pattern.compile("\\b(?!(?:and|or|unless|bool)\\b)[a-zA-Z_:][\\w:]*(?! *\\()\\b");

  static Dashboard read() {
    JsonNode json = JsonMapper.shared().readTree(FILE.toFile());
    List<Panel> panels = new ArrayList<>();
    for (JsonNode panel : json.path("panels")) {
      List<Query> queries = new ArrayList<>();
      for (JsonNode target : panel.path("targets")) {
        queries.add(
            new Query(target.path("expr").asString(), target.path("legendFormat").asString()));
      }
      JsonNode defaults = panel.path("fieldConfig").path("defaults");
      panels.add(
          new Panel(
              panel.path("title").asString(),
              defaults.path("unit").asString(),
              defaults.path("custom").has("stacking"),
              queries));
    }
    List<String> variables = new ArrayList<>();
    for (JsonNode variable : json.path("templating").path("list")) {
      if (variable.path("type").asString().equals("query")) {
        variables.add(variable.path("definition").asString());
      }
    }
    return new Dashboard(panels, variables);
  }

  List<String> expressions() {
    return panels.stream()
        .flatMap(panel -> panel.queries().stream().map(Query::expression))
        .toList();
  }

  /** The metrics that an expression of PromQL names. */
  static Set<String> metrics(String expression) {
    String bare =
        GROUPING
            .matcher(LABELS.matcher(expression).replaceAll(" "))
            .replaceAll(" ")
            .replaceAll("\\[[^]]*]", " ");
    Set<String> metrics = new TreeSet<>();
    NAME.matcher(bare).results().forEach(name -> metrics.add(name.group()));
    return metrics;
  }
}
