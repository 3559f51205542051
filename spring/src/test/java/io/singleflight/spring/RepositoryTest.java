package io.singleflight.spring;

import static io.singleflight.spring.Held.awaitCallers;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.data.annotation.Id;
import org.springframework.data.jdbc.repository.config.EnableJdbcRepositories;
import org.springframework.data.jdbc.repository.query.Query;
import org.springframework.data.relational.core.mapping.Table;
import org.springframework.data.repository.CrudRepository;
import org.springframework.jdbc.core.JdbcTemplate;

/** The annotation on a method of a Spring Data repository, which has no class of its own. */
public class RepositoryTest {

  @RegisterExtension final Calls calls = new Calls();

  @Table
  record Customer(@Id Long id, String name) {}

  interface Customers extends CrudRepository<Customer, Long> {

    @SharedCall(name = "repository", key = "#name")
    @Query("select id, name from customer where name = :name and held()")
    Customer byName(String name);
  }

  static final Held HELD = new Held();

  /** Called by the database. */
  public static boolean held() throws InterruptedException {
    return HELD.perform(true);
  }

  @SpringBootConfiguration(proxyBeanMethods = false)
  @EnableAutoConfiguration
  @EnableJdbcRepositories(
      considerNestedRepositories = true,
      basePackageClasses = RepositoryTest.class)
  static class Application {}

  @Test
  void repositoryMethod_isShared() throws Exception {
    try (ConfigurableApplicationContext context =
        new SpringApplicationBuilder(Application.class)
            .web(WebApplicationType.NONE)
            .run("--spring.datasource.generate-unique-name=true")) {
      JdbcTemplate database = context.getBean(JdbcTemplate.class);
      database.execute(
          "create table customer (id bigint auto_increment primary key, name varchar)");
      database.execute("create alias held for '" + getClass().getName() + ".held'");
      Customers customers = context.getBean(Customers.class);
      customers.save(new Customer(null, "ada"));

      var one = calls.start(() -> customers.byName("ada"));
      HELD.awaitBegun(1);
      var two = calls.start(() -> customers.byName("ada"));
      awaitCallers(context.getBean(SingleFlights.class), "repository", 2);
      HELD.open();
      assertThat(Calls.get(one).name()).isEqualTo("ada");
      assertThat(Calls.get(two)).isSameAs(Calls.get(one));
      assertThat(HELD.begun).hasValue(1);
    }
  }
}
