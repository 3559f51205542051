package io.singleflight.spring;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Concurrent callers of the method share one invocation, if they call the same bean with equal
 * arguments and are the same to its {@link #identity}.
 *
 * <pre>{@code
 * @SharedCall
 * public Customer find(String name) {
 *   return database.customerByName(name);
 * }
 * }</pre>
 *
 * <p>It is not a cache: who calls after an invocation has ended gets a new one. A failure reaches
 * all callers as the same exception. All callers get the same object: it must not be changed, or
 * only by all in agreement.
 *
 * <table class="striped">
 * <caption>What the method may return</caption>
 * <thead><tr><th scope="col">Return type<th scope="col">The method is invoked<th scope="col">A
 * caller leaves by</thead>
 * <tbody>
 * <tr><th scope="row">a value or {@code void}<td>on the leader's own thread; with a {@link
 * #timeout}, on the executor of the instance<td>interrupt, timeout
 * <tr><th scope="row">{@code CompletableFuture}, {@code CompletionStage}<td>on the leader's
 * thread<td>cancelling or completing its own future, timeout
 * <tr><th scope="row">{@code Mono}<td>when the leader subscribes, with the leader's Reactor
 * context<td>cancelling its subscription, timeout
 * <tr><th scope="row">{@code Flux}<td>as {@code Mono}; its elements are collected, and replayed to
 * each subscriber when it has completed, so it has to end<td>as {@code Mono}
 * </tbody>
 * </table>
 *
 * <p>When the last caller has left, the invocation is cancelled: its thread is interrupted, its
 * future or its subscription cancelled. Where the method runs on another thread than its caller's,
 * the caller's locale and Spring Security's context go along, and what beans of type {@code
 * TaskDecorator} carry.
 *
 * <p>A caller that is in a transaction already shares with nobody: the method is invoked as if it
 * had no annotation.
 *
 * <p>A {@code TimeoutException} or {@code InterruptedException} of a blocking caller is thrown as
 * itself by a method that declares it, and else as the cause of a {@code CompletionException}; the
 * thread's interrupt flag is then set again.
 *
 * <p>The annotation may stand on a method of a class or of an interface. As with all of Spring's
 * advice, calls through {@code this} are not seen. Sharing comes inside {@code @Cacheable} and
 * outside {@code @Transactional}; retries, method security and validation come outside. A mistake
 * in an annotation, such as a misspelt parameter, fails the start of the application, or the first
 * use of a lazy bean.
 */
@Target({ElementType.METHOD, ElementType.ANNOTATION_TYPE})
@Retention(RetentionPolicy.RUNTIME)
@Documented
public @interface SharedCall {

  /** An {@link #identity} that is the same for all: the answer does not depend on who asks. */
  String EVERYONE = "'everyone'";

  /**
   * The name of the single-flight instance, whose options are the properties {@code
   * singleflight.instances.<name>.*}. Methods of one name share its options, and never an
   * invocation. Placeholders are resolved.
   *
   * @return the name
   */
  String name() default "default";

  /**
   * A SpEL expression for the key, over the parameters ({@code #id}, {@code #a0}, {@code #p0}) and
   * beans ({@code @bean}). Default: all parameters.
   *
   * @return the expression, whose value must not be null
   */
  String key() default "";

  /**
   * How long a caller waits at most, such as {@code 200ms}. Placeholders are resolved. Default: as
   * long as the invocation takes.
   *
   * @return the duration, more than zero
   */
  String timeout() default "";

  /**
   * A SpEL expression, as {@link #key}, for whether to share a call. Where it is false, the method
   * is invoked as if it had no annotation. Default: all calls are shared.
   *
   * @return the expression
   */
  String condition() default "";

  /**
   * A SpEL expression, as {@link #key}, for what tells callers apart whose arguments are equal: the
   * tenant, say. Null is an identity too. For a {@code Mono} or {@code Flux} method it may yield a
   * {@code Mono}, which is awaited in each subscriber's Reactor context.
   *
   * <p>Default: the caller's locale and time zone, its principal and authorities if Spring Security
   * is present, and what the beans of type {@link CallerIdentity} answer. An expression replaces
   * all of these: use {@link #EVERYONE} where the answer is the same for all.
   *
   * @return the expression
   */
  String identity() default "";
}
