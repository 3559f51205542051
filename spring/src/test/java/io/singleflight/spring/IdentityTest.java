package io.singleflight.spring;

import static io.singleflight.spring.Calls.get;
import static io.singleflight.spring.Held.awaitCallers;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Locale;
import java.util.TimeZone;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.aop.AopAutoConfiguration;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.test.context.runner.ReactiveWebApplicationContextRunner;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.i18n.LocaleContextHolder;
import org.springframework.context.i18n.SimpleTimeZoneAwareLocaleContext;
import org.springframework.mock.http.server.reactive.MockServerHttpRequest;
import org.springframework.mock.web.server.MockServerWebExchange;
import org.springframework.security.authentication.AnonymousAuthenticationToken;
import org.springframework.security.authentication.TestingAuthenticationToken;
import org.springframework.security.config.web.server.ServerHttpSecurity;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.authority.AuthorityUtils;
import org.springframework.security.core.authority.FactorGrantedAuthority;
import org.springframework.security.core.context.ReactiveSecurityContextHolder;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.core.context.SecurityContextImpl;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.web.server.WebFilterChainProxy;
import org.springframework.web.filter.reactive.ServerWebExchangeContextFilter;
import org.springframework.web.server.ServerWebExchange;
import org.springframework.web.server.WebFilter;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** Callers share only with those who are the same as they are. */
class IdentityTest {

  @RegisterExtension final Calls calls = new Calls();

  private final ApplicationContextRunner runner =
      new ApplicationContextRunner()
          .withConfiguration(
              AutoConfigurations.of(
                  AopAutoConfiguration.class, SingleFlightAutoConfiguration.class))
          .withUserConfiguration(Beans.class);

  static class Service {
    final Held held;
    final AtomicInteger subscribed = new AtomicInteger();
    final Sinks.Empty<Void> gate = Sinks.empty();

    Service(Held held) {
      this.held = held;
    }

    @SharedCall
    public String mine() throws InterruptedException {
      return held.perform(Tenants.TENANT.get() + " " + name());
    }

    @SharedCall(timeout = "1m")
    public String mineInTime() throws InterruptedException {
      return held.perform(name());
    }

    @SharedCall(identity = "@tenants.current()")
    public String ofTenant() throws InterruptedException {
      return held.perform(Tenants.TENANT.get());
    }

    @SharedCall(identity = "#who")
    public String ofArgument(String what, String who) throws InterruptedException {
      return held.perform(who);
    }

    @SharedCall(identity = SharedCall.EVERYONE)
    public String ofEveryone() throws InterruptedException {
      return held.perform("public");
    }

    @SharedCall
    public CompletableFuture<String> future() {
      held.begun.incrementAndGet();
      return gate.asMono().thenReturn("done").toFuture();
    }

    @SharedCall
    public Mono<String> mono() {
      String onThread = name();
      return ReactiveSecurityContextHolder.getContext()
          .map(context -> context.getAuthentication().getName())
          .defaultIfEmpty(onThread)
          .flatMap(name -> {
            subscribed.incrementAndGet();
            return gate.asMono().thenReturn(name);
          });
    }

    @SharedCall(identity = "@tenants.ofSubscription()")
    public Mono<String> monoOfTenant() {
      return Mono.deferContextual(context -> {
        subscribed.incrementAndGet();
        return gate.asMono().thenReturn(context.getOrDefault("tenant", "none"));
      });
    }

    @SharedCall(identity = "@tenants.ofSubscription()")
    public String valueOfSubscription() {
      return "never";
    }
  }

  static class Tenants {
    static final ThreadLocal<String> TENANT = new ThreadLocal<>();

    public String current() {
      return TENANT.get();
    }

    public Mono<String> ofSubscription() {
      return Mono.deferContextual(context -> Mono.justOrEmpty(context.getOrEmpty("tenant")));
    }
  }

  @Configuration(proxyBeanMethods = false)
  static class Beans {
    @Bean
    Held held() {
      return new Held();
    }

    @Bean
    Tenants tenants() {
      return new Tenants();
    }

    @Bean
    Service service(Held held) {
      return new Service(held);
    }
  }

  @FunctionalInterface
  interface Scenario {
    void play(Service service, Held held, SingleFlights instances) throws Exception;
  }

  private void play(Scenario scenario) {
    play(runner, scenario);
  }

  private static void play(ApplicationContextRunner runner, Scenario scenario) {
    runner.run(context ->
        scenario.play(
            context.getBean(Service.class),
            context.getBean(Held.class),
            context.getBean(SingleFlights.class)));
  }

  private static String name() {
    Authentication authentication = SecurityContextHolder.getContext().getAuthentication();
    return authentication == null ? "nobody" : authentication.getName();
  }

  private static Authentication user(String name, String... authorities) {
    User user = new User(name, "secret", AuthorityUtils.createAuthorityList(authorities));
    return new TestingAuthenticationToken(
        user, "secret", AuthorityUtils.createAuthorityList(authorities));
  }

  private static <T> Callable<T> as(Authentication authentication, Callable<T> call) {
    return () -> {
      SecurityContextHolder.setContext(new SecurityContextImpl(authentication));
      try {
        return call.call();
      } finally {
        SecurityContextHolder.clearContext();
      }
    };
  }

  private static <T> Callable<T> in(String tenant, Callable<T> call) {
    return () -> {
      Tenants.TENANT.set(tenant);
      try {
        return call.call();
      } finally {
        Tenants.TENANT.remove();
      }
    };
  }

  /** A and B are in flight apart; a second A joins the first. */
  private void apart(
      Service service, Held held, SingleFlights instances, List<Callable<String>> callers)
      throws Exception {
    var a = calls.start(callers.get(0));
    held.awaitBegun(1);
    var b = calls.start(callers.get(1));
    held.awaitBegun(2);
    var anotherA = calls.start(callers.get(0));
    awaitCallers(instances, "default", 3);
    held.open();
    assertThat(get(a)).isSameAs(get(anotherA)).isNotSameAs(get(b));
    assertThat(held.begun).hasValue(2);
  }

  @Test
  void principals_thatDiffer_doNotShare() {
    play((service, held, instances) ->
        apart(
            service,
            held,
            instances,
            List.of(as(user("ada"), service::mine), as(user("bob"), service::mine))));
  }

  @Test
  void principals_ofOneNameWithOtherAuthorities_doNotShare() {
    play((service, held, instances) ->
        apart(
            service,
            held,
            instances,
            List.of(
                as(user("ada", "ROLE_USER"), service::mine),
                as(user("ada", "ROLE_USER", "ROLE_ADMIN"), service::mine))));
  }

  @Test
  void principals_thatLoggedInTwice_share() {
    play((service, held, instances) -> {
      var one = calls.start(as(loggedInAt(1), service::mine));
      var two = calls.start(as(loggedInAt(2), service::mine));
      awaitCallers(instances, "default", 2);
      held.open();
      assertThat(get(one)).isSameAs(get(two));
    });
  }

  private static Authentication loggedInAt(long second) {
    return new TestingAuthenticationToken(
        new User("ada", "secret", List.of()),
        "secret",
        List.of(
            FactorGrantedAuthority.withAuthority(FactorGrantedAuthority.PASSWORD_AUTHORITY)
                .issuedAt(java.time.Instant.ofEpochSecond(second))
                .build()));
  }

  @Test
  void principals_anonymousAndAbsent_doNotShareWithUsersNorEachOther() {
    Authentication anonymous =
        new AnonymousAuthenticationToken(
            "key", "anonymousUser", AuthorityUtils.createAuthorityList("ROLE_ANONYMOUS"));
    play((service, held, instances) -> {
      var absent = calls.start(service::mine);
      var user = calls.start(as(user("ada"), service::mine));
      var one = calls.start(as(anonymous, service::mine));
      var two = calls.start(as(anonymous, service::mine));
      awaitCallers(instances, "default", 4);
      held.open();
      assertThat(List.of(get(absent), get(user), get(one), get(two)))
          .containsExactly("null nobody", "null ada", "null anonymousUser", "null anonymousUser");
      assertThat(held.begun).hasValue(3);
    });
  }

  @Test
  void principal_goesAlongToTheExecutor() {
    play((service, held, instances) ->
        apart(
            service,
            held,
            instances,
            List.of(as(user("ada"), service::mineInTime), as(user("bob"), service::mineInTime))));
    play((service, held, instances) -> {
      held.open();
      assertThat(as(user("ada"), service::mineInTime).call()).isEqualTo("ada");
      assertThat(service.mineInTime()).isEqualTo("nobody");
    });
  }

  @Test
  void principals_ofFutures_doNotShare() {
    play((service, held, instances) -> {
      var ada = as(user("ada"), service::future).call();
      var bob = as(user("bob"), service::future).call();
      var adaAgain = as(user("ada"), service::future).call();
      assertThat(Held.callers(instances, "default")).isEqualTo(3);
      assertThat(held.begun).hasValue(2);
      ada.cancel(true);
      bob.cancel(true);
      adaAgain.cancel(true);
    });
  }

  @Test
  void locales_thatDiffer_doNotShare() {
    play((service, held, instances) ->
        apart(
            service,
            held,
            instances,
            List.of(
                inPlace(Locale.GERMANY, "Europe/Berlin", service::mine),
                inPlace(Locale.FRANCE, "Europe/Berlin", service::mine))));
    play((service, held, instances) ->
        apart(
            service,
            held,
            instances,
            List.of(
                inPlace(Locale.GERMANY, "Europe/Berlin", service::mine),
                inPlace(Locale.GERMANY, "Asia/Tokyo", service::mine))));
  }

  private static <T> Callable<T> inPlace(Locale locale, String zone, Callable<T> call) {
    return () -> {
      LocaleContextHolder.setLocaleContext(
          new SimpleTimeZoneAwareLocaleContext(locale, TimeZone.getTimeZone(zone)));
      try {
        return call.call();
      } finally {
        LocaleContextHolder.resetLocaleContext();
      }
    };
  }

  /** Applications may set another strategy at any time, also after the start. */
  @Test
  void principals_ofAStrategyThatIsSetLater_doNotShare() {
    play((service, held, instances) -> {
      SecurityContextHolder.setStrategyName(SecurityContextHolder.MODE_INHERITABLETHREADLOCAL);
      try {
        apart(
            service,
            held,
            instances,
            List.of(as(user("ada"), service::mine), as(user("bob"), service::mine)));
        assertThat(as(user("ada"), service::mineInTime).call()).isEqualTo("ada");
      } finally {
        SecurityContextHolder.setStrategyName(SecurityContextHolder.MODE_THREADLOCAL);
      }
    });
  }

  static Stream<WebFilter> filtersThatKeepTheExchange() {
    return Stream.of(
        new ServerWebExchangeContextFilter(),
        new WebFilterChainProxy(ServerHttpSecurity.http().build()));
  }

  @ParameterizedTest
  @MethodSource("filtersThatKeepTheExchange")
  void locales_ofExchanges_doNotShare(WebFilter filter) {
    new ReactiveWebApplicationContextRunner()
        .withConfiguration(AutoConfigurations.of(SingleFlightAutoConfiguration.class))
        .withBean(Gate.class)
        .withBean(Localized.class)
        .run(context -> {
          Localized service = context.getBean(Localized.class);
          var german = ofExchange(filter, service.greeting(), "de");
          var french = ofExchange(filter, service.greeting(), "fr");
          var germanToo = ofExchange(filter, service.greeting(), "de");
          awaitCallers(context.getBean(SingleFlights.class), "default", 3);
          context.getBean(Gate.class).opened.tryEmitEmpty();
          assertThat(List.of(get(german), get(french), get(germanToo)))
              .containsExactly("de", "fr", "de");
          assertThat(get(german)).isSameAs(get(germanToo));
        });
  }

  static class Gate {
    final Sinks.Empty<Void> opened = Sinks.empty();
  }

  static class Localized {
    private final Gate gate;

    Localized(Gate gate) {
      this.gate = gate;
    }

    @SharedCall
    public Mono<String> greeting() {
      return Mono.deferContextual(context ->
          gate.opened
              .asMono()
              .then(
                  Mono.fromSupplier(() ->
                      new String(
                          ServerWebExchangeContextFilter.getExchange(context)
                              .orElseGet(() -> context.get(ServerWebExchange.class))
                              .getLocaleContext()
                              .getLocale()
                              .getLanguage()))));
    }
  }

  private static CompletableFuture<String> ofExchange(
      WebFilter filter, Mono<String> answer, String language) {
    MockServerWebExchange exchange =
        MockServerWebExchange.from(
            MockServerHttpRequest.get("/")
                .acceptLanguageAsLocales(Locale.forLanguageTag(language)));
    CompletableFuture<String> answered = new CompletableFuture<>();
    filter
        .filter(exchange, filtered -> answer.doOnNext(answered::complete).then())
        .subscribe(nothing -> {}, answered::completeExceptionally);
    return answered;
  }

  @Test
  void identityBean_tellsCallersApart() {
    play(
        runner.withBean(CallerIdentity.class, () -> Tenants.TENANT::get),
        (service, held, instances) ->
            apart(
                service,
                held,
                instances,
                List.of(in("north", service::mine), in("south", service::mine))));
    play((service, held, instances) -> {
      var one = calls.start(in("north", service::mine));
      var two = calls.start(in("south", service::mine));
      awaitCallers(instances, "default", 2);
      held.open();
      assertThat(get(one)).as("shared without the bean").isSameAs(get(two));
    });
  }

  @Test
  void identity_said_tellsCallersApart() {
    play((service, held, instances) ->
        apart(
            service,
            held,
            instances,
            List.of(in("north", service::ofTenant), in("south", service::ofTenant))));
    play((service, held, instances) ->
        apart(
            service,
            held,
            instances,
            List.of(
                () -> service.ofArgument("x", "north"), () -> service.ofArgument("x", "south"))));
  }

  @Test
  void identity_everyone_sharesAmongAll() {
    play((service, held, instances) -> {
      var ada = calls.start(as(user("ada"), service::ofEveryone));
      var bob =
          calls.start(inPlace(Locale.FRANCE, "Asia/Tokyo", as(user("bob"), service::ofEveryone)));
      awaitCallers(instances, "default", 2);
      held.open();
      assertThat(get(ada)).isSameAs(get(bob));
      assertThat(held.begun).hasValue(1);
    });
  }

  @Test
  void principals_ofSubscriptions_doNotShare() {
    play((service, held, instances) -> {
      Mono<String> assembledOnce = service.mono();
      var ada = assembledOnce.contextWrite(subscriber("ada")).toFuture();
      var bob = assembledOnce.contextWrite(subscriber("bob")).toFuture();
      var adaAgain = service.mono().contextWrite(subscriber("ada")).toFuture();
      var nobody = service.mono().toFuture();
      assertThat(Held.callers(instances, "default")).isEqualTo(4);
      service(service).gate.tryEmitEmpty();
      assertThat(List.of(get(ada), get(bob), get(adaAgain), get(nobody)))
          .containsExactly("ada", "bob", "ada", "nobody");
      assertThat(service(service).subscribed).hasValue(3);
    });
  }

  private static reactor.util.context.Context subscriber(String name) {
    return reactor.util.context.Context.of(
        ReactiveSecurityContextHolder.withAuthentication(user(name)));
  }

  private static Service service(Service proxy) throws Exception {
    return (Service)
        ((org.springframework.aop.framework.Advised) proxy).getTargetSource().getTarget();
  }

  @Test
  void principals_ofThreadsThatSubscribeToOneMono_doNotShare() {
    play((service, held, instances) -> {
      Mono<String> assembledOnce = service.mono();
      var ada = as(user("ada"), assembledOnce::toFuture).call();
      var bob = as(user("bob"), assembledOnce::toFuture).call();
      var assembledByBob = as(user("bob"), service::mono).call().toFuture();
      service(service).gate.tryEmitEmpty();
      assertThat(List.of(get(ada), get(bob), get(assembledByBob)))
          .as("the method is invoked as who called it, whoever subscribes")
          .containsExactly("nobody", "nobody", "bob");
      assertThat(service(service).subscribed).hasValue(3);
    });
  }

  @Test
  void identity_thatIsAMono_isThatOfTheSubscription() {
    play((service, held, instances) -> {
      var north = service.monoOfTenant().contextWrite(context -> context.put("tenant", "north"));
      var south = service.monoOfTenant().contextWrite(context -> context.put("tenant", "south"));
      var all =
          List.of(
              north.toFuture(),
              south.toFuture(),
              north.toFuture(),
              service.monoOfTenant().toFuture());
      assertThat(Held.callers(instances, "default")).isEqualTo(4);
      service(service).gate.tryEmitEmpty();
      assertThat(all.stream().map(CompletableFuture::join))
          .containsExactly("north", "south", "north", "none");
      assertThat(service(service).subscribed).hasValue(3);
    });
  }

  @Test
  void identity_thatIsAMonoForAValue_isRefused() {
    play((service, held, instances) ->
        assertThatThrownBy(service::valueOfSubscription)
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("Service.valueOfSubscription")
            .hasMessageContaining("Mono"));
  }

  @Test
  void valueInAWebFluxApplicationWithSecurity_withoutIdentity_isRefused() {
    ReactiveWebApplicationContextRunner webFlux =
        new ReactiveWebApplicationContextRunner()
            .withConfiguration(AutoConfigurations.of(SingleFlightAutoConfiguration.class));
    webFlux
        .withBean("tenants", Tenants.class)
        .withBean(Held.class)
        .withBean(Service.class)
        .run(context ->
            assertThat(context)
                .getFailure()
                .rootCause()
                .isInstanceOf(InvalidSharedCallException.class)
                .hasMessageContaining("SharedCall.EVERYONE"));
    webFlux
        .withBean(Said.class)
        .run(context -> assertThat(context).hasNotFailed().hasSingleBean(Said.class));
  }

  static class Said {
    @SharedCall(identity = SharedCall.EVERYONE)
    public String value() {
      return "public";
    }

    @SharedCall
    public Mono<String> mono() {
      return Mono.just("mine");
    }
  }
}
