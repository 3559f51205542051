package io.singleflight.spring;

import static io.singleflight.spring.Held.awaitCallers;
import static io.singleflight.spring.Http.answer;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.singleflight.spring.Http.Answer;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.springframework.boot.WebApplicationType;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Over real HTTP, failures, nulls, timeouts and callers that leave are as the contract says. */
class HttpContractTest {

  private static Answer sameAnswer(List<CompletableFuture<Answer>> sent) throws Exception {
    Set<Answer> answers = sent.stream().map(CompletableFuture::join).collect(Collectors.toSet());
    assertThat(answers).hasSize(1);
    return answers.iterator().next();
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "NONE")
  void failure_checked_reachesAllAsTheSameInstance(WebApplicationType type) throws Exception {
    try (Http http = Http.start(type)) {
      Held held = http.bean(Held.class);
      List<CompletableFuture<Answer>> sent = http.get("/customers/3", 20);
      awaitCallers(http.instances(), "default", 20);
      held.open();
      Answer answer = sameAnswer(sent);
      assertThat(answer.status()).isEqualTo(404);
      assertThat(answer.body()).startsWith("no customer 3 ");
      assertThat(held.begun).hasValue(1);
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "NONE")
  void null_orEmpty_isAResult(WebApplicationType type) throws Exception {
    try (Http http = Http.start(type)) {
      Held held = http.bean(Held.class);
      List<CompletableFuture<Answer>> sent = http.get("/nicknames/1", 20);
      awaitCallers(http.instances(), "default", 20);
      held.open();
      assertThat(sameAnswer(sent)).isEqualTo(new Answer(200, "nickname: null"));
      assertThat(held.begun).hasValue(1);
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "NONE")
  void timeout_answersAllAndEndsTheInvocation(WebApplicationType type) throws Exception {
    try (Http http = Http.start(type)) {
      Held held = http.bean(Held.class);
      for (CompletableFuture<Answer> one : http.get("/in-time/1", 20)) {
        assertThat(answer(one).status()).isEqualTo(503);
        assertThat(answer(one).body()).contains("CustomerService.findInTime").contains("PT0.2S");
      }
      await().until(() -> held.interrupted.get() == held.begun.get());
      assertThat(http.instances().get("default").inFlight()).isEmpty();
    }
  }

  @Test
  void subscription_cancelledByAClientThatHangsUp_leavesTheOthersAndTheLastOneCancels()
      throws Exception {
    try (Http http = Http.start(WebApplicationType.REACTIVE)) {
      Held held = http.bean(Held.class);
      Socket first = request(http, "/customers/1");
      awaitCallers(http.instances(), "default", 1);
      Socket second = request(http, "/customers/1");
      awaitCallers(http.instances(), "default", 2);
      first.close();
      awaitCallers(http.instances(), "default", 1);
      assertThat(held.interrupted).hasValue(0);
      second.close();
      awaitCallers(http.instances(), "default", 0);
      await().untilAsserted(() -> assertThat(held.interrupted).hasValue(1));
      assertThat(held.begun).hasValue(1);

      held.open();
      assertThat(answer(http.get("/customers/1")).status()).isEqualTo(200);
    }
  }

  private static Socket request(Http http, String path) throws IOException {
    Socket socket = new Socket("localhost", http.port());
    socket
        .getOutputStream()
        .write(
            ("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .getBytes(StandardCharsets.US_ASCII));
    return socket;
  }

  @Test
  void flux_isReplayedToAll() throws Exception {
    try (Http http = Http.start(WebApplicationType.REACTIVE)) {
      Held held = http.bean(Held.class);
      List<CompletableFuture<Answer>> sent = http.get("/customers", 20);
      awaitCallers(http.instances(), "default", 20);
      held.open();
      assertThat(sameAnswer(sent).body())
          .isEqualTo(
              "[{\"id\":1,\"name\":\"ada\",\"orders\":500},"
                  + "{\"id\":2,\"name\":\"charles\",\"orders\":500}]");
      assertThat(held.begun).as("queries, two an invocation").hasValue(2);
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "NONE")
  void endpoint_showsFlightsAndForgetsKeys(WebApplicationType type) throws Exception {
    try (Http http =
        Http.start(
            type,
            "--management.endpoints.web.exposure.include=health,singleflight",
            "--management.health.defaults.enabled=false",
            "--management.health.ping.enabled=true",
            "--management.endpoint.health.show-components=always")) {
      Held held = http.bean(Held.class);
      assertThat(answer(http.get("/actuator/singleflight")).body()).isEqualTo("{\"instances\":{}}");

      List<CompletableFuture<Answer>> sent = http.get("/customers/1", 3);
      awaitCallers(http.instances(), "default", 3);
      JsonNode all = json(answer(http.get("/actuator/singleflight")));
      JsonNode one = json(answer(http.get("/actuator/singleflight/default")));
      JsonNode flight = one.get("flights").get(0);
      assertThat(all.get("instances").get("default").get("flights").size()).isEqualTo(1);
      assertThat(one.get("flights").size()).isEqualTo(1);
      assertThat(flight.get("callers").asInt()).isEqualTo(3);
      assertThat(flight.get("age").asString()).startsWith("PT");
      assertThat(flight.get("leader").asString()).isNotBlank();
      assertThat(flight.get("state").asString()).isEqualTo("RUNNING");
      String key = flight.get("key").asString();
      assertThat(key).contains("CustomerService.find[1]");

      String forget = new JsonMapper().writeValueAsString(java.util.Map.of("key", key));
      assertThat(answer(http.post("/actuator/singleflight/default", forget)))
          .isEqualTo(new Answer(200, "{\"flights\":1}"));
      assertThat(answer(http.post("/actuator/singleflight/default", forget)).body())
          .isEqualTo("{\"flights\":0}");
      CompletableFuture<Answer> fresh = http.get("/customers/1");
      held.awaitBegun(2);
      held.open();
      assertThat(answer(fresh).status()).isEqualTo(200);
      assertThat(sameAnswer(sent).status()).isEqualTo(200);

      assertThat(answer(http.get("/actuator/singleflight/nobody")).status()).isEqualTo(404);
      assertThat(answer(http.post("/actuator/singleflight/nobody", forget)).status())
          .isEqualTo(400);
      assertThat(json(answer(http.get("/actuator/health"))).get("components").propertyNames())
          .contains("ping")
          .noneMatch(name -> name.contains("flight"));
    }
  }

  private static JsonNode json(Answer answer) {
    assertThat(answer.status()).isEqualTo(200);
    return new JsonMapper().readTree(answer.body());
  }
}
