package io.singleflight.spring;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.InputStream;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.reactivestreams.Publisher;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.ImportAutoConfiguration;
import org.springframework.boot.autoconfigure.context.PropertyPlaceholderAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.samples.petclinic.Vets;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** A mistake in an annotation fails the start, and tells what to do. */
@ExtendWith(OutputCaptureExtension.class)
class InvalidSharedCallTest {

  private final ApplicationContextRunner runner =
      new ApplicationContextRunner()
          .withConfiguration(
              AutoConfigurations.of(
                  PropertyPlaceholderAutoConfiguration.class, SingleFlightAutoConfiguration.class));

  static class MisspeltKey {
    @SharedCall(key = "{#id, #tenat}")
    public String find(Long id, String tenant) {
      return tenant + id;
    }
  }

  static class MisspeltIdentity {
    @SharedCall(identity = "#user?.name")
    public String find(Long id) {
      return "" + id;
    }
  }

  static class ForgottenHash {
    @SharedCall(key = "id")
    public String find(Long id) {
      return "" + id;
    }
  }

  static class ForgottenHashWithin {
    @SharedCall(key = "#id.compareTo(other)")
    public String find(Long id) {
      return "" + id;
    }
  }

  static class UnknownBean {
    @SharedCall(key = "@nobody.of(#id)")
    public String find(Long id) {
      return "" + id;
    }
  }

  static class UnknownFunction {
    @SharedCall(key = "#of(#id)")
    public String find(Long id) {
      return "" + id;
    }
  }

  static class Intricate {
    @SharedCall(
        key =
            "{#id, #ids.![longValue()], #ids.?[#this > 0].size(), {kind: #id}, #names[ada],"
                + " T(java.util.Objects).hash(#id), new String('x'), @environment.activeProfiles,"
                + " #id > 0 ? 'some' : #id?.toString()}")
    public String find(Long id, List<Long> ids, Map<String, String> names) {
      return "" + id;
    }
  }

  static class BadSyntax {
    @SharedCall(condition = "#id >")
    public String find(Long id) {
      return "" + id;
    }
  }

  static class BadTimeout {
    @SharedCall(timeout = "soon")
    public String find() {
      return "";
    }
  }

  static class NegativeTimeout {
    @SharedCall(timeout = "-1s")
    public String find() {
      return "";
    }
  }

  static class UnknownPlaceholder {
    @SharedCall(timeout = "${no.such.property}")
    public String find() {
      return "";
    }
  }

  static class BlankName {
    @SharedCall(name = " ")
    public String find() {
      return "";
    }
  }

  static class PrivateMethod {
    @SharedCall
    private String find() {
      return "";
    }
  }

  static class FinalMethod {
    @SharedCall
    public final String find() {
      return "";
    }
  }

  static class StaticMethod {
    @SharedCall
    public static String find() {
      return "";
    }
  }

  static class ReturnsStream {
    @SharedCall
    public Stream<String> find() {
      return Stream.of();
    }
  }

  static class ReturnsInputStream {
    @SharedCall
    public InputStream find() {
      return InputStream.nullInputStream();
    }
  }

  static class ReturnsIterator {
    @SharedCall
    public Iterator<String> find() {
      return null;
    }
  }

  static class ReturnsFuture {
    @SharedCall
    public Future<String> find() {
      return null;
    }
  }

  static class ReturnsPublisher {
    @SharedCall
    public Publisher<String> find() {
      return null;
    }
  }

  static class ReturnsFlowPublisher {
    @SharedCall
    public Flow.Publisher<String> find() {
      return null;
    }
  }

  static class ReturnsFutureOfStream {
    @SharedCall
    public CompletableFuture<Stream<String>> find() {
      return null;
    }
  }

  static class ReturnsStageOfFuture {
    @SharedCall
    public CompletionStage<? extends CompletableFuture<String>> find() {
      return null;
    }
  }

  static class ReturnsMonoOfInputStream {
    @SharedCall
    public Mono<InputStream> find() {
      return null;
    }
  }

  static class ReturnsFluxOfFlux {
    @SharedCall
    public Flux<Flux<String>> find() {
      return null;
    }
  }

  static class Finder<T> {
    @SharedCall
    public T find() {
      return null;
    }
  }

  static class FindsMonoOfIterator extends Finder<Mono<Iterator<String>>> {}

  static Stream<Arguments> mistakes() {
    return Stream.of(
        Arguments.of(MisspeltKey.class, "key '{#id, #tenat}' names #tenat", "#tenant"),
        Arguments.of(MisspeltIdentity.class, "names #user, which is no parameter", "#id"),
        Arguments.of(ForgottenHash.class, "key 'id' names id, which is of nothing", "write #id"),
        Arguments.of(ForgottenHashWithin.class, "names other, which is of nothing", "#name"),
        Arguments.of(UnknownBean.class, "names @nobody, which is no bean", "name of a bean"),
        Arguments.of(UnknownFunction.class, "names #of(#id), which is no parameter", "#id"),
        Arguments.of(Vets.class, "name is blank", "leave it out"),
        Arguments.of(BadSyntax.class, "condition '#id >' is no SpEL expression", "#id >"),
        Arguments.of(BadTimeout.class, "timeout 'soon' is no duration", "200ms"),
        Arguments.of(NegativeTimeout.class, "timeout '-1s' leaves no time", "more than zero"),
        Arguments.of(UnknownPlaceholder.class, "no.such.property", "define it"),
        Arguments.of(BlankName.class, "name is blank", "leave it out"),
        Arguments.of(PrivateMethod.class, "private, static or final", "overridable"),
        Arguments.of(FinalMethod.class, "private, static or final", "overridable"),
        Arguments.of(StaticMethod.class, "private, static or final", "overridable"),
        Arguments.of(ReturnsStream.class, "only be used by one caller", "CompletableFuture"),
        Arguments.of(ReturnsInputStream.class, "only be used by one caller", "CompletableFuture"),
        Arguments.of(ReturnsIterator.class, "only be used by one caller", "CompletableFuture"),
        Arguments.of(ReturnsFuture.class, "only be used by one caller", "CompletableFuture"),
        Arguments.of(ReturnsPublisher.class, "only be used by one caller", "Mono or a Flux"),
        Arguments.of(ReturnsFlowPublisher.class, "only be used by one caller", "Mono or a Flux"),
        Arguments.of(ReturnsFutureOfStream.class, "only be used by one caller", "of values"),
        Arguments.of(ReturnsStageOfFuture.class, "only be used by one caller", "of values"),
        Arguments.of(ReturnsMonoOfInputStream.class, "only be used by one caller", "of values"),
        Arguments.of(ReturnsFluxOfFlux.class, "only be used by one caller", "of values"),
        Arguments.of(FindsMonoOfIterator.class, "only be used by one caller", "of values"));
  }

  @ParameterizedTest
  @MethodSource("mistakes")
  void mistake_failsTheStart(Class<?> bean, String problem, String remedy) {
    runner
        .withBean(bean)
        .run(context ->
            assertThat(context)
                .getFailure()
                .rootCause()
                .isInstanceOf(InvalidSharedCallException.class)
                .hasMessageContaining(declaring(bean).getSimpleName())
                .hasMessageContaining(problem)
                .hasMessageContaining(remedy));
  }

  private static Class<?> declaring(Class<?> bean) {
    return bean == FindsMonoOfIterator.class ? Finder.class : bean;
  }

  @Test
  void expression_ofManyKinds_isNoMistake() {
    runner
        .withBean(Intricate.class)
        .run(context ->
            assertThat(
                    context
                        .getBean(Intricate.class)
                        .find(1L, List.of(1L, 2L), Map.of("ada", "a name")))
                .isEqualTo("1"));
  }

  @Configuration(proxyBeanMethods = false)
  @ImportAutoConfiguration(SingleFlightAutoConfiguration.class)
  @Import(MisspeltKey.class)
  static class Application {}

  @Test
  void mistake_isToldWithoutAStackTrace(CapturedOutput output) {
    SpringApplication application =
        new SpringApplicationBuilder(Application.class).web(WebApplicationType.NONE).build();
    try {
      application.run().close();
    } catch (RuntimeException e) {
      assertThat(e).rootCause().isInstanceOf(InvalidSharedCallException.class);
    }
    assertThat(output)
        .contains("APPLICATION FAILED TO START")
        .contains("names #tenat, which is no parameter.")
        .contains("Use one of [#a0, #a1, #id, #p0, #p1, #tenant, #this]")
        .doesNotContain("\tat ");
  }
}
