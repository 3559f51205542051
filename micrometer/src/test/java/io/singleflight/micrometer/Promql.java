package io.singleflight.micrometer;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Checks what an expression of PromQL names against the series of a scrape. */
final class Promql {

  private static final Pattern SAMPLE = Pattern.compile("(?m)^([a-z_]+)\\{([^}]*)}");
  private static final Pattern SELECTOR = Pattern.compile("\\b([a-z_]+)\\b(?:\\{([^}]*)})?");
  private static final Pattern MATCHER = Pattern.compile("(\\w+) *(=~|!~|!=|=) *\"([^\"]*)\"");
  private static final Pattern GROUPING =
      Pattern.compile("\\b(?:by|without|on|ignoring|group_left|group_right) *\\(([^)]*)\\) *");

  /** The series of a scrape: for each metric, its labels, and for each of them its values. */
  private final Map<String, Map<String, Set<String>>> series = new TreeMap<>();

  Promql(String scrape) {
    SAMPLE
        .matcher(scrape)
        .results()
        .forEach(sample -> {
          Map<String, Set<String>> labels =
              series.computeIfAbsent(sample.group(1), metric -> new TreeMap<>());
          for (String label : sample.group(2).split(",")) {
            String[] pair = label.split("=", 2);
            labels.computeIfAbsent(pair[0], each -> new TreeSet<>()).add(pair[1].replace("\"", ""));
          }
        });
  }

  Set<String> metrics() {
    return series.keySet();
  }

  /** Returns what an expression names that there is not. */
  List<String> unknown(String expression) {
    List<String> unknown = new ArrayList<>();
    for (String metric : Dashboard.metrics(expression)) {
      if (!series.containsKey(metric)) {
        unknown.add("metric " + metric);
      }
    }
    Matcher selector = SELECTOR.matcher(expression);
    while (selector.find()) {
      Map<String, Set<String>> labels = series.get(selector.group(1));
      if (labels != null && selector.group(2) != null) {
        MATCHER
            .matcher(selector.group(2))
            .results()
            .forEach(each -> {
              Set<String> values = labels.get(each.group(1));
              if (values == null) {
                unknown.add("label " + each.group(1) + " of " + selector.group(1));
              } else if (each.group(2).equals("=") && !values.contains(each.group(3))) {
                unknown.add("value " + each.group(3) + " of " + each.group(1));
              }
            });
      }
    }
    Matcher grouping = GROUPING.matcher(expression);
    while (grouping.find()) {
      for (String metric : Dashboard.metrics(grouped(expression, grouping))) {
        for (String label : grouping.group(1).split(" *, *")) {
          if (!series.getOrDefault(metric, Map.of()).containsKey(label)) {
            unknown.add("label " + label + " of " + metric);
          }
        }
      }
    }
    return unknown;
  }

  /** What a grouping is about: the parentheses after it, or else both sides of the operator. */
  private static String grouped(String expression, Matcher grouping) {
    if (grouping.end() == expression.length() || expression.charAt(grouping.end()) != '(') {
      return expression;
    }
    int depth = 0;
    int end = grouping.end();
    do {
      depth += expression.charAt(end) == '(' ? 1 : expression.charAt(end) == ')' ? -1 : 0;
      end++;
    } while (depth > 0);
    return expression.substring(grouping.end(), end);
  }
}
