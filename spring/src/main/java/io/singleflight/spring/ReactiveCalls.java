package io.singleflight.spring;

import static java.util.Objects.requireNonNull;

import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Calls of methods that return a Mono or a Flux: each subscription takes a seat. */
final class ReactiveCalls {

  private ReactiveCalls() {}

  static Mono<?> mono(SharedInvocation call) {
    return shared(call, () -> (Mono<?>) requireNonNull(call.perform(), "the Mono of the method"));
  }

  static Flux<?> flux(SharedInvocation call) {
    return shared(
            call,
            () ->
                ((Flux<?>) requireNonNull(call.perform(), "the Flux of the method")).collectList())
        .flatMapIterable(elements -> (Collection<?>) elements);
  }

  /* The function of a future that nobody needs any more cancels its subscription. */
  private static Mono<?> shared(SharedInvocation call, Supplier<Mono<?>> method) {
    return Mono.deferContextual(context ->
        awaited(call.identityOfSubscription())
            .flatMap(identity ->
                Mono.fromFuture(() ->
                    call.future(identity, () -> method.get().contextWrite(context).toFuture()))));
  }

  static boolean isMono(@Nullable Object part) {
    return part instanceof Mono;
  }

  /** Replaces each Mono of an identity by what it yields in the subscription's context. */
  private static Mono<List<@Nullable Object>> awaited(List<@Nullable Object> identity) {
    return identity.stream().noneMatch(ReactiveCalls::isMono)
        ? Mono.just(identity)
        : Flux.range(0, identity.size())
            .concatMap(index -> awaited(identity.get(index)))
            .collectList()
            .map(parts -> parts.stream().<@Nullable Object>map(part -> part.orElse(null)).toList());
  }

  private static Mono<Optional<Object>> awaited(@Nullable Object part) {
    return part instanceof Mono<?> mono
        ? mono.<Optional<Object>>map(Optional::of).defaultIfEmpty(Optional.empty())
        : Mono.just(Optional.ofNullable(part));
  }
}
