package io.singleflight.spring;

import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.springframework.expression.spel.SpelNode;
import org.springframework.expression.spel.ast.BeanReference;
import org.springframework.expression.spel.ast.CompoundExpression;
import org.springframework.expression.spel.ast.FunctionReference;
import org.springframework.expression.spel.ast.Indexer;
import org.springframework.expression.spel.ast.InlineMap;
import org.springframework.expression.spel.ast.MethodReference;
import org.springframework.expression.spel.ast.Projection;
import org.springframework.expression.spel.ast.PropertyOrFieldReference;
import org.springframework.expression.spel.ast.Selection;
import org.springframework.expression.spel.ast.VariableReference;

/** Finds at the start what an expression names and nothing has, which SpEL tells at each call. */
final class ExpressionCheck {

  record Mistake(String problem, String remedy) {}

  private final Set<String> variables;
  private final Predicate<String> isBean;

  ExpressionCheck(Set<String> variables, Predicate<String> isBean) {
    this.variables = variables;
    this.isBean = isBean;
  }

  @Nullable Mistake find(SpelNode expression) {
    return find(expression, true, true);
  }

  /* What comes first in its scope is of the scope's object: outside of projections, there is none. */
  private @Nullable Mistake find(SpelNode node, boolean first, boolean noObject) {
    Mistake mistake = find(node, first && noObject);
    boolean inside = node instanceof Projection || node instanceof Selection;
    for (int i = 0; mistake == null && i < node.getChildCount(); i++) {
      mistake = find(node.getChild(i), isFirst(node, i), noObject && !inside);
    }
    return mistake;
  }

  private static boolean isFirst(SpelNode node, int child) {
    return !(node instanceof Indexer)
        && (!(node instanceof CompoundExpression) || child == 0)
        && (!(node instanceof InlineMap) || child % 2 == 1);
  }

  private @Nullable Mistake find(SpelNode node, boolean ofNothing) {
    String text = node.toStringAST();
    if (node instanceof FunctionReference
        || node instanceof VariableReference && !variables.contains(text)) {
      // To SpEL a misspelt variable is null: what it should tell apart would be shared.
      return new Mistake(
          "names %s, which is no parameter".formatted(text),
          "use one of "
              + variables.stream().sorted().toList()
              + "; for names, compile with -parameters");
    }
    if (node instanceof BeanReference && !isBean.test(beanName(text))) {
      return new Mistake(
          "names %s, which is no bean".formatted(text), "give the name of a bean that there is");
    }
    if (ofNothing
        && (node instanceof PropertyOrFieldReference || node instanceof MethodReference)) {
      return new Mistake(
          "names %s, which is of nothing".formatted(text),
          variables.contains("#" + text)
              ? "write #" + text
              : "write #name for a parameter, @name for a bean and 'text' for a text");
    }
    return null;
  }

  private static String beanName(String text) {
    return (text.startsWith("@") ? text.substring(1) : text).replace("'", "");
  }
}
