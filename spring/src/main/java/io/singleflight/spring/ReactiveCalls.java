package io.singleflight.spring;

import static java.util.Objects.requireNonNull;

import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.springframework.transaction.NoTransactionException;
import org.springframework.transaction.reactive.TransactionSynchronizationManager;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.BaseSubscriber;
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

  private static Mono<?> shared(SharedInvocation call, Supplier<Mono<?>> method) {
    return Mono.deferContextual(context ->
        awaited(call.identityOfSubscription())
            .flatMap(identity ->
                seat(() ->
                    call.future(identity, () -> upstream(method.get().contextWrite(context))))));
  }

  /* Unlike Mono.fromFuture, it leaves a CompletionException as it is. */
  private static Mono<?> seat(Supplier<CompletableFuture<@Nullable Object>> future) {
    return Mono.create(subscriber -> {
      Disposable.Swap seat = Disposables.swap();
      subscriber.onCancel(seat);
      CompletableFuture<@Nullable Object> own = future.get();
      seat.update(() -> own.cancel(true));
      own.whenComplete((value, failure) -> {
        if (seat.isDisposed()) {
          return;
        }
        if (failure == null) {
          subscriber.success(value);
        } else {
          subscriber.error(failure);
        }
      });
    });
  }

  private static CompletableFuture<?> upstream(Mono<?> mono) {
    Upstream upstream = new Upstream();
    mono.subscribe(upstream);
    return upstream.stage;
  }

  /* Unlike that of Mono.toFuture, its cancellation is not lost if upstream is slow to start. */
  private static final class Upstream extends BaseSubscriber<Object> {

    final CompletableFuture<@Nullable Object> stage = new CompletableFuture<>();
    private @Nullable Object value;

    Upstream() {
      stage.whenComplete((value, failure) -> cancel());
    }

    @Override
    protected void hookOnNext(Object next) {
      value = next;
    }

    @Override
    protected void hookOnComplete() {
      stage.complete(value);
    }

    /* The core takes one CompletionException off what a stage fails with: not off upstream's own. */
    @Override
    protected void hookOnError(Throwable failure) {
      stage.completeExceptionally(
          failure instanceof CompletionException ? new CompletionException(failure) : failure);
    }
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
