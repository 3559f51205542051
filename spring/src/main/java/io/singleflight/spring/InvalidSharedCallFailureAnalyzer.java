package io.singleflight.spring;

import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;
import org.springframework.util.StringUtils;

/** Tells a mistake in an annotation without a stack trace. */
final class InvalidSharedCallFailureAnalyzer
    extends AbstractFailureAnalyzer<InvalidSharedCallException> {

  @Override
  protected FailureAnalysis analyze(Throwable rootFailure, InvalidSharedCallException cause) {
    return new FailureAnalysis(
        cause.problem(), StringUtils.capitalize(cause.remedy()) + ".", cause);
  }
}
