package io.singleflight.benchmarks;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.Properties;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Where something was measured, and with what. */
final class Machine {

  private static final Path CPUS = Path.of("/proc/cpuinfo");

  private Machine() {}

  static void describe(Results results, Optional<String> go, long minutes) throws IOException {
    OperatingSystemMXBean system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    results.addFact("Day", LocalDate.now(ZoneOffset.UTC).toString());
    results.addFact("Measured for", minutes + " minutes");
    results.addFact(
        "Load average at the end",
        String.format(Locale.ROOT, "%.1f, this run included", system.getSystemLoadAverage()));
    results.addFact(
        "Processor", cpu() + ", " + Runtime.getRuntime().availableProcessors() + " cores");
    results.addFact("Memory", system.getTotalMemorySize() / (1 << 30) + " GiB");
    results.addFact("System", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
    results.addFact(
        "JVM",
        System.getProperty("java.vm.vendor")
            + " "
            + System.getProperty("java.vm.name")
            + " "
            + Runtime.version());
    results.addFact(
        "Collector",
        ManagementFactory.getGarbageCollectorMXBeans().stream()
            .map(GarbageCollectorMXBean::getName)
            .collect(Collectors.joining(", ")));
    results.addFact("Libraries", libraries());
    results.addFact("Go", go.orElse("not installed; left out"));
  }

  private static String cpu() throws IOException {
    if (!Files.isReadable(CPUS)) {
      return System.getProperty("os.arch");
    }
    try (Stream<String> lines = Files.lines(CPUS)) {
      return lines
          .filter(line -> line.startsWith("model name"))
          .map(line -> line.substring(line.indexOf(':') + 1).strip())
          .findFirst()
          .orElse(System.getProperty("os.arch"));
    }
  }

  private static String libraries() throws IOException {
    Properties versions = new Properties();
    try (InputStream in = Machine.class.getResourceAsStream("versions.properties")) {
      versions.load(Objects.requireNonNull(in, "versions.properties"));
    }
    return new TreeMap<>(versions)
        .entrySet().stream()
            .map(version -> version.getKey() + " " + version.getValue())
            .collect(Collectors.joining(", "));
  }
}
