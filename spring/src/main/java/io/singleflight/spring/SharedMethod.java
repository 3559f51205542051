package io.singleflight.spring;

import static java.util.Objects.requireNonNull;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.convert.DurationStyle;
import org.springframework.core.DefaultParameterNameDiscoverer;
import org.springframework.core.KotlinDetector;
import org.springframework.core.ParameterNameDiscoverer;
import org.springframework.core.ReactiveAdapterRegistry;
import org.springframework.core.ResolvableType;
import org.springframework.expression.EvaluationContext;
import org.springframework.expression.Expression;
import org.springframework.expression.ParseException;
import org.springframework.expression.spel.standard.SpelExpression;
import org.springframework.expression.spel.standard.SpelExpressionParser;
import org.springframework.util.StringUtils;

/** An annotated method: its annotation, checked and parsed. */
final class SharedMethod {

  static final ParameterNameDiscoverer NAMES = new DefaultParameterNameDiscoverer();

  private static final SpelExpressionParser PARSER = new SpelExpressionParser();

  /** What the method returns, as far as sharing goes. */
  enum Kind {
    VALUE,
    FUTURE,
    MONO,
    FLUX
  }

  final Method method;
  final Kind kind;
  final String name;
  final @Nullable Duration timeout;
  private final @Nullable Expression key;
  private final @Nullable Expression condition;
  private final @Nullable Expression identity;

  SharedMethod(
      Method method,
      @Nullable Class<?> targetClass,
      SharedCall annotation,
      ConfigurableListableBeanFactory beans,
      boolean webFluxSecurity) {
    this.method = method;
    this.kind =
        kind(
            targetClass == null
                ? ResolvableType.forMethodReturnType(method)
                : ResolvableType.forMethodReturnType(method, targetClass));
    this.name = resolve("name", annotation.name(), beans);
    if (name.isBlank()) {
      throw invalid("name is blank", "leave it out or give the name of an instance");
    }
    String deadline = resolve("timeout", annotation.timeout(), beans);
    this.timeout = deadline.isEmpty() ? null : duration(deadline);
    this.key = parse("key", annotation.key(), beans);
    this.condition = parse("condition", annotation.condition(), beans);
    this.identity = parse("identity", annotation.identity(), beans);
    if (!canBeAdvised()) {
      throw invalid(
          "the method is private, static or final, so no proxy can see its calls",
          "make it an overridable method of a bean");
    }
    if (webFluxSecurity && identity == null && !isReactive()) {
      throw invalid(
          "in a reactive application only Mono and Flux know the principal, so that this method"
              + " might be shared across users",
          "say its identity: SharedCall.EVERYONE if the answer is the same for all");
    }
  }

  boolean isReactive() {
    return kind == Kind.MONO || kind == Kind.FLUX;
  }

  /** Whether another thread than the caller's may invoke the method. */
  boolean changesThread() {
    return kind != Kind.VALUE || timeout != null;
  }

  boolean saysIdentity() {
    return identity != null;
  }

  boolean needsEvaluation() {
    return key != null || condition != null || identity != null;
  }

  boolean isShared(EvaluationContext context) {
    return condition == null
        || requireNonNull(
            condition.getValue(context, Boolean.class),
            () -> "condition %s of %s is null".formatted(condition.getExpressionString(), this));
  }

  @Nullable Object[] key(@Nullable Object[] arguments, @Nullable EvaluationContext context) {
    if (key == null || context == null) {
      return arguments.clone();
    }
    Object value = key.getValue(context);
    if (value == null) {
      throw new IllegalStateException(
          "the key %s of %s is null: all such calls would be one; give a key that is not, or none"
              .formatted(key.getExpressionString(), this));
    }
    return new Object[] {value};
  }

  @Nullable Object identity(EvaluationContext context) {
    return requireNonNull(identity).getValue(context);
  }

  @Override
  public String toString() {
    return method.getDeclaringClass().getSimpleName() + "." + method.getName();
  }

  private Kind kind(ResolvableType returned) {
    Kind kind = kindOf(returned.toClass());
    Class<?> type = (kind == Kind.VALUE ? returned : returned.getGeneric()).toClass();
    boolean oneShot =
        isPending(type)
            || AutoCloseable.class.isAssignableFrom(type)
            || Iterator.class.isAssignableFrom(type)
            || KotlinDetector.isSuspendingFunction(method);
    if (oneShot) {
      throw invalid(
          "what it returns can only be used by one caller",
          "return a value, or a CompletableFuture, a CompletionStage, a Mono or a Flux of values");
    }
    return kind;
  }

  private static Kind kindOf(Class<?> type) {
    if (type == CompletableFuture.class || type == CompletionStage.class) {
      return Kind.FUTURE;
    }
    // By name: Reactor may be absent.
    return switch (type.getName()) {
      case "reactor.core.publisher.Mono" -> Kind.MONO;
      case "reactor.core.publisher.Flux" -> Kind.FLUX;
      default -> Kind.VALUE;
    };
  }

  private static boolean isPending(Class<?> type) {
    return Future.class.isAssignableFrom(type)
        || CompletionStage.class.isAssignableFrom(type)
        || ReactiveAdapterRegistry.getSharedInstance().getAdapter(type) != null;
  }

  /** Returns a value of the method; refuses what its return type did not tell. */
  @Nullable Object value(@Nullable Object result) {
    if (result != null && isPending(result.getClass())) {
      throw new IllegalStateException(
          "%s returned a %s, which only one caller could use; declare it to return a"
                  .formatted(this, result.getClass().getName())
              + " CompletableFuture, a CompletionStage, a Mono or a Flux");
    }
    return result;
  }

  private boolean canBeAdvised() {
    int unseen = Modifier.PRIVATE | Modifier.STATIC | Modifier.FINAL;
    return (method.getModifiers() & unseen) == 0;
  }

  private String resolve(String attribute, String text, ConfigurableListableBeanFactory beans) {
    try {
      String resolved = beans.resolveEmbeddedValue(text);
      return resolved == null ? "" : resolved;
    } catch (IllegalArgumentException e) {
      throw invalid(attribute + " '" + text + "': " + e.getMessage(), "define it");
    }
  }

  private Duration duration(String text) {
    Duration duration;
    try {
      duration = DurationStyle.detectAndParse(text);
    } catch (IllegalArgumentException e) {
      throw invalid("timeout '" + text + "' is no duration", "write it like 200ms or PT0.2S");
    }
    if (duration.isZero() || duration.isNegative()) {
      throw invalid("timeout '" + text + "' leaves no time", "give more than zero");
    }
    return duration;
  }

  private @Nullable Expression parse(
      String attribute, String text, ConfigurableListableBeanFactory beans) {
    if (!StringUtils.hasText(text)) {
      return null;
    }
    SpelExpression expression;
    try {
      expression = PARSER.parseRaw(text);
    } catch (ParseException e) {
      throw invalid(attribute + " '" + text + "' is no SpEL expression", e.toDetailedString());
    }
    ExpressionCheck.Mistake mistake =
        new ExpressionCheck(variables(), beans::containsBean).find(expression.getAST());
    if (mistake != null) {
      throw invalid("%s '%s' %s".formatted(attribute, text, mistake.problem()), mistake.remedy());
    }
    return expression;
  }

  private Set<String> variables() {
    Set<String> variables = new HashSet<>(List.of("#this"));
    for (int i = 0; i < method.getParameterCount(); i++) {
      variables.add("#a" + i);
      variables.add("#p" + i);
    }
    @Nullable String @Nullable [] names = NAMES.getParameterNames(method);
    if (names != null) {
      Arrays.stream(names).forEach(parameter -> variables.add("#" + parameter));
    }
    return variables;
  }

  InvalidSharedCallException invalid(String problem, String remedy) {
    return new InvalidSharedCallException(method, problem, remedy);
  }
}
