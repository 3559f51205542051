package io.singleflight.mutation;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectPackage;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectUniqueId;
import static org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder.request;

import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.ClassNameFilter;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.Launcher;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.runner.Description;
import org.junit.runner.RunWith;
import org.junit.runner.Runner;
import org.junit.runner.manipulation.Filter;
import org.junit.runner.manipulation.Filterable;
import org.junit.runner.manipulation.NoTestsRemainException;
import org.junit.runner.notification.Failure;
import org.junit.runner.notification.RunNotifier;

/**
 * The tests of this module, for PIT, a method each. Its own adapter for the JUnit Platform performs
 * all tests to learn which there are, in each JVM that it starts; and it starts one for each mutant
 * that hangs. JUnit 4, which it knows too, has runners that tell without.
 */
@RunWith(AllTests.Methods.class)
public class AllTests {

  /** The methods, with all their parameters each. */
  public static final class Methods extends Runner implements Filterable {

    private static final String NOT_OF_THE_CODE = ".*(Doc|Examples|Architecture)Test.*";
    private static final Launcher LAUNCHER = LauncherFactory.create();
    private static final Map<Description, String> IDS = discovered();

    private final Map<Description, String> chosen = new LinkedHashMap<>(IDS);

    /**
     * As JUnit 4 wants it.
     *
     * @param tests the class above
     */
    public Methods(Class<?> tests) {}

    private static Map<Description, String> discovered() {
      Map<Description, String> ids = new LinkedHashMap<>();
      LAUNCHER
          .discover(
              request()
                  .selectors(selectPackage("io.singleflight"))
                  .filters(ClassNameFilter.excludeClassNamePatterns(NOT_OF_THE_CODE))
                  .build())
          .accept(
              new org.junit.platform.launcher.TestPlan.Visitor() {
                @Override
                public void visit(TestIdentifier found) {
                  if (found.getSource().orElse(null) instanceof MethodSource) {
                    String id = found.getUniqueId();
                    ids.put(Description.createTestDescription(AllTests.class, id), id);
                  }
                }
              });
      return ids;
    }

    @Override
    public Description getDescription() {
      Description all = Description.createSuiteDescription(AllTests.class);
      chosen.keySet().forEach(all::addChild);
      return all;
    }

    @Override
    public void filter(Filter filter) throws NoTestsRemainException {
      chosen.keySet().removeIf(method -> !filter.shouldRun(method));
      if (chosen.isEmpty()) {
        throw new NoTestsRemainException();
      }
    }

    @Override
    public void run(RunNotifier notifier) {
      chosen.forEach((method, id) -> {
        notifier.fireTestStarted(method);
        LAUNCHER.execute(
            request().selectors(selectUniqueId(id)).build(),
            new TestExecutionListener() {
              @Override
              public void executionFinished(TestIdentifier ended, TestExecutionResult result) {
                result
                    .getThrowable()
                    .filter(thrown -> result.getStatus() == TestExecutionResult.Status.FAILED)
                    .ifPresent(thrown -> notifier.fireTestFailure(new Failure(method, thrown)));
              }
            });
        notifier.fireTestFinished(method);
      });
    }
  }
}
