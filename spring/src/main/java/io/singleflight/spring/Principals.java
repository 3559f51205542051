package io.singleflight.spring;

import java.util.Set;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.springframework.security.concurrent.DelegatingSecurityContextRunnable;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.context.ReactiveSecurityContextHolder;
import org.springframework.security.core.context.SecurityContext;
import org.springframework.security.core.context.SecurityContextHolderStrategy;

/** Tells callers apart by Spring Security's principal. */
final class Principals {

  private Principals() {}

  /**
   * Who asks. Principals of one name may differ in what they may see, and some are equal by their
   * name alone; so all three have to be the same.
   */
  private record Principal(String name, @Nullable Object principal, Set<Object> authorities) {
    @Override
    public String toString() {
      return name;
    }
  }

  /** The principal of the thread. */
  record OfThread(Supplier<SecurityContextHolderStrategy> strategy) implements CallerContext {

    @Override
    public @Nullable Object identify() {
      return principal(strategy.get().getContext().getAuthentication());
    }

    @Override
    public UnaryOperator<Runnable> capture() {
      SecurityContextHolderStrategy current = strategy.get();
      SecurityContext ofCaller = current.getContext();
      return task -> {
        DelegatingSecurityContextRunnable carrying =
            new DelegatingSecurityContextRunnable(task, ofCaller);
        carrying.setSecurityContextHolderStrategy(current);
        return carrying;
      };
    }
  }

  /** The principal of the subscription. */
  static final class OfSubscription implements SubscriberIdentity {

    @Override
    public Object identify() {
      return ReactiveSecurityContextHolder.getContext()
          .mapNotNull(context -> principal(context.getAuthentication()));
    }
  }

  /* Authorities compare by name: some carry the moment at which they were granted. */
  private static @Nullable Object principal(@Nullable Authentication authentication) {
    return authentication == null
        ? null
        : new Principal(
            authentication.getName(),
            authentication.getPrincipal(),
            authentication.getAuthorities().stream()
                .map(granted -> granted.getAuthority() == null ? granted : granted.getAuthority())
                .collect(Collectors.toUnmodifiableSet()));
  }
}
