package io.singleflight;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.type;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.EvaluationResult;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What the core's classes keep away from. Without reflection, a native image needs to be told
 * nothing; {@code VarHandle}s it resolves itself.
 */
class ArchitectureTest {

  private static final Set<String> LOOKUPS =
      Set.of(
          "forName",
          "newInstance",
          "getField",
          "getFields",
          "getMethod",
          "getMethods",
          "getConstructor",
          "getConstructors",
          "getDeclaredField",
          "getDeclaredFields",
          "getDeclaredMethod",
          "getDeclaredMethods",
          "getDeclaredConstructor",
          "getDeclaredConstructors",
          "getRecordComponents",
          "getResource",
          "getResourceAsStream");

  private static final ArchRule NO_REFLECTION =
      noClasses()
          .should()
          .dependOnClassesThat(resideInAPackage("java.lang.reflect.."))
          .orShould()
          .dependOnClassesThat(type(MethodHandle.class))
          .orShould()
          .accessTargetWhere(
              describe(
                  "the target looks up members or resources",
                  (JavaAccess<?> access) ->
                      access.getTargetOwner().isEquivalentTo(Class.class)
                          && LOOKUPS.contains(access.getName())))
          .orShould()
          .dependOnClassesThat(type(java.util.ServiceLoader.class));

  private static final ArchRule NOTHING_BUT_JAVA =
      noClasses()
          .should()
          .dependOnClassesThat(
              com.tngtech.archunit.base.DescribedPredicate.not(
                  resideInAnyPackage("java..", "jdk.jfr..", "io.singleflight", "org.jspecify..")));

  /** Waiting is parking until woken. */
  private static final ArchRule NO_SLEEP =
      noClasses().should().callMethod(Thread.class, "sleep", long.class);

  private static final List<ArchRule> RULES = List.of(NO_REFLECTION, NOTHING_BUT_JAVA, NO_SLEEP);

  @Test
  void core_everyClass_keepsToTheRules() {
    JavaClasses core = new ClassFileImporter().importPath(Path.of("target/classes"));
    assertThat(core.stream().map(each -> each.getSimpleName()))
        .contains("LocalSingleFlight", "Flight");
    for (ArchRule rule : RULES) {
      rule.check(core);
    }
  }

  @ParameterizedTest
  @ValueSource(
      classes = {
        Breaches.ByName.class,
        Breaches.ByMember.class,
        Breaches.ByHandle.class,
        Breaches.OfOthers.class,
        Breaches.Asleep.class
      })
  void breach_ofARule_isSeen(Class<?> breach) {
    JavaClasses classes = new ClassFileImporter().importClasses(breach);
    assertThat(RULES.stream().map(rule -> rule.evaluate(classes)))
        .anyMatch(EvaluationResult::hasViolation);
  }

  static final class Breaches {

    static final class ByName {
      static Class<?> breach() throws ClassNotFoundException {
        return Class.forName("java.lang.String");
      }
    }

    static final class ByMember {
      static Method breach(Object key) throws NoSuchMethodException {
        return key.getClass().getDeclaredMethod("hashCode");
      }
    }

    static final class ByHandle {
      static MethodHandle breach() throws ReflectiveOperationException {
        return MethodHandles.lookup().unreflectConstructor(Object.class.getConstructor());
      }
    }

    static final class OfOthers {
      static void breach() {
        assertThat(true).isTrue();
      }
    }

    static final class Asleep {
      static void breach() throws InterruptedException {
        Thread.sleep(0);
      }
    }

    private Breaches() {}
  }
}
