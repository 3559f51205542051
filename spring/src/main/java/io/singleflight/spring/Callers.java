package io.singleflight.spring;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.BeanFactory;
import org.springframework.context.i18n.LocaleContext;
import org.springframework.context.i18n.LocaleContextHolder;
import org.springframework.core.task.TaskDecorator;
import org.springframework.util.function.SingletonSupplier;

/** Knows what tells callers apart by default, and what goes along to the thread that works. */
final class Callers {

  private final Supplier<List<CallerIdentity>> identities;
  private final Supplier<List<TaskDecorator>> decorators;

  Callers(BeanFactory beans) {
    this.identities =
        SingletonSupplier.of(() ->
            Stream.concat(
                    Stream.of(new Place()),
                    beans.getBeanProvider(CallerIdentity.class).orderedStream())
                .toList());
    this.decorators =
        SingletonSupplier.of(
            () -> beans.getBeanProvider(TaskDecorator.class).orderedStream().toList());
  }

  /** The identity of the calling thread and, if asked for, of its subscription. */
  List<@Nullable Object> identity(boolean subscriber) {
    List<@Nullable Object> parts = new ArrayList<>();
    for (CallerIdentity identity : identities.get()) {
      if (subscriber || !(identity instanceof SubscriberIdentity)) {
        parts.add(identity.identify());
      }
    }
    return parts;
  }

  /** Returns what makes of a task one that runs as the caller that the calling thread knows. */
  UnaryOperator<Runnable> capture() {
    List<UnaryOperator<Runnable>> captured = new ArrayList<>();
    for (CallerIdentity identity : identities.get()) {
      if (identity instanceof CallerContext context) {
        captured.add(context.capture());
      }
    }
    return task -> {
      Runnable carried = task;
      for (UnaryOperator<Runnable> context : captured) {
        carried = context.apply(carried);
      }
      return carried;
    };
  }

  /** Returns a task that runs the given one with what the calling thread has besides. */
  Runnable decorate(Runnable task) {
    Runnable decorated = task;
    for (TaskDecorator decorator : decorators.get()) {
      decorated = decorator.decorate(decorated);
    }
    return decorated;
  }

  /** The locale and time zone of a caller. */
  record LocaleAndZone(Locale locale, String zone) {

    static LocaleAndZone of(@Nullable LocaleContext context) {
      return new LocaleAndZone(
          LocaleContextHolder.getLocale(context), LocaleContextHolder.getTimeZone(context).getID());
    }

    @Override
    public String toString() {
      return locale + " " + zone;
    }
  }

  /** The locale and time zone of the thread. */
  private static final class Place implements CallerContext {

    @Override
    public Object identify() {
      return LocaleAndZone.of(LocaleContextHolder.getLocaleContext());
    }

    @Override
    public UnaryOperator<Runnable> capture() {
      LocaleContext ofCaller = LocaleContextHolder.getLocaleContext();
      return task ->
          () -> {
            LocaleContext before = LocaleContextHolder.getLocaleContext();
            LocaleContextHolder.setLocaleContext(ofCaller);
            try {
              task.run();
            } finally {
              LocaleContextHolder.setLocaleContext(before);
            }
          };
    }
  }
}
