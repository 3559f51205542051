package io.singleflight.spring;

import static java.util.Objects.requireNonNull;

import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.springframework.transaction.NoTransactionException;
import org.springframework.transaction.reactive.TransactionSynchronizationManager;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Calls of methods that return a Mono or a Flux: each subscription takes a seat. */
final class ReactiveCalls {

  private ReactiveCalls() {}

  static Mono<?> mono(SharedInvocation call) {
    return inTransaction()
        .flatMap(alone -> alone ? monoOf(call) : shared(call, () -> monoOf(call)));
  }

  static Flux<?> flux(SharedInvocation call) {
    return inTransaction()
        .flatMapMany(alone ->
            alone
                ? fluxOf(call)
                : shared(call, () -> fluxOf(call).collectList())
                    .flatMapIterable(elements -> (Collection<?>) elements));
  }

  private static Mono<?> monoOf(SharedInvocation call) {
    return (Mono<?>) requireNonNull(call.perform(), "the Mono of the method");
  }

  private static Flux<?> fluxOf(SharedInvocation call) {
    return (Flux<?>) requireNonNull(call.perform(), "the Flux of the method");
  }

  /** Whether the subscription, or its thread, is in a transaction. */
  private static Mono<Boolean> inTransaction() {
    return Mono.defer(() -> {
      if (!Transactions.PRESENT || Transactions.isActive()) {
        return Mono.just(Transactions.isActive());
      }
      return TransactionSynchronizationManager.forCurrentTransaction()
          .map(TransactionSynchronizationManager::isActualTransactionActive)
          .onErrorReturn(NoTransactionException.class, false);
    });
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
