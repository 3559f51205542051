package io.singleflight.spring;

import static io.singleflight.spring.Held.awaitCallers;
import static io.singleflight.spring.Http.HERD;
import static io.singleflight.spring.Http.answer;
import static org.assertj.core.api.Assertions.assertThat;

import io.singleflight.spring.Http.Answer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.springframework.boot.WebApplicationType;

/**
 * Herds of 1,000 concurrent requests over real HTTP, MVC and WebFlux. Each herd is held in the
 * database until all are aboard, so that one invocation is no luck.
 *
 * <p>There are 5 herds of one key, for each kind of application. For 100: {@code ./mvnw -pl spring
 * -am test -Dtest=HttpHerdTest -Dsurefire.failIfNoSpecifiedTests=false -Dsingleflight.herds=100}.
 */
@Timeout(value = 15, unit = TimeUnit.MINUTES) // a watchdog, long enough for those
class HttpHerdTest {

  private static final int HERDS = Integer.getInteger("singleflight.herds", 5);

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "NONE")
  void herd_ofOneKey_isOneInvocation(WebApplicationType type) throws Exception {
    try (Http http = Http.start(type)) {
      Held held = http.bean(Held.class);
      for (int herd = 1; herd <= HERDS; herd++) {
        held.close();
        List<CompletableFuture<Answer>> sent = http.get("/customers/1", HERD);
        awaitCallers(http.instances(), "default", HERD);
        held.open();
        for (CompletableFuture<Answer> one : sent) {
          assertThat(answer(one).status()).isEqualTo(200);
          assertThat(answer(one).body()).isEqualTo("{\"id\":1,\"name\":\"ada\",\"orders\":500}");
        }
        assertThat(held.begun).as("invocations of %d herds", herd).hasValue(herd);
      }
      assertThat(http.instances().get("default").inFlight()).isEmpty();
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "NONE")
  void herd_ofSeveralUsers_isOneInvocationEach(WebApplicationType type) throws Exception {
    try (Http http = Http.start(type)) {
      Held held = http.bean(Held.class);
      List<CompletableFuture<Answer>> sent = mine(http, HERD);
      awaitCallers(http.instances(), "default", HERD);
      held.open();
      expectOwnAnswers(sent);
      assertThat(held.begun).hasValue(Users.NAMES.size());
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "NONE")
  void users_underLoad_neverShareWithOthersButWithThemselves(WebApplicationType type)
      throws Exception {
    try (Http http = Http.start(type)) {
      Held held = http.bean(Held.class);
      held.open();
      int requests = 0;
      for (int i = 0; i < 3; i++) {
        expectOwnAnswers(mine(http, HERD));
        requests += HERD;
      }
      assertThat(held.begun.get()).isBetween(Users.NAMES.size(), requests - 1);
    }
  }

  private static List<CompletableFuture<Answer>> mine(Http http, int requests) {
    List<CompletableFuture<Answer>> sent = new ArrayList<>();
    for (int i = 0; i < requests; i++) {
      String user = Users.NAMES.get(i % Users.NAMES.size());
      sent.add(http.getAs(user, "/mine/1"));
    }
    return sent;
  }

  private static void expectOwnAnswers(List<CompletableFuture<Answer>> sent) throws Exception {
    Map<String, Integer> wrong = new TreeMap<>();
    for (int i = 0; i < sent.size(); i++) {
      String own = "ada as seen by " + Users.NAMES.get(i % Users.NAMES.size());
      String body = answer(sent.get(i)).body();
      if (!body.equals(own)) {
        wrong.merge(body + " instead of " + own, 1, Integer::sum);
      }
    }
    assertThat(wrong).isEmpty();
  }
}
