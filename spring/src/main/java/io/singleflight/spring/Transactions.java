package io.singleflight.spring;

import org.springframework.transaction.support.TransactionSynchronization;
import org.springframework.transaction.support.TransactionSynchronizationManager;
import org.springframework.util.ClassUtils;

/** Spring's transactions, which need not be there. */
final class Transactions {

  static final boolean PRESENT =
      ClassUtils.isPresent(
          "org.springframework.transaction.support.TransactionSynchronizationManager",
          Transactions.class.getClassLoader());

  private Transactions() {}

  /** Whether the calling thread is in a transaction. */
  static boolean isActive() {
    return PRESENT && TransactionSynchronizationManager.isActualTransactionActive();
  }

  /**
   * Runs an action twice at the end of the thread's transaction, if there is one: right after the
   * commit, and after whatever else is done then.
   */
  static void whenCommittedAndWhenCompleted(Runnable action) {
    if (PRESENT && TransactionSynchronizationManager.isSynchronizationActive()) {
      AtEnd.register(action);
    }
  }

  /* A class of its own, which the JVM looks at only when there are transactions. */
  private record AtEnd(Runnable action) implements TransactionSynchronization {

    static void register(Runnable action) {
      TransactionSynchronizationManager.registerSynchronization(new AtEnd(action));
    }

    @Override
    public void afterCommit() {
      action.run();
    }

    @Override
    public void afterCompletion(int status) {
      action.run();
    }
  }
}
