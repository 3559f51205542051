package io.singleflight.spring;

import java.util.List;
import java.util.stream.IntStream;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.core.userdetails.UserDetails;
import org.springframework.security.crypto.password.PasswordEncoder;

/** Users whose passwords are their names. */
final class Users {

  static final List<String> NAMES = IntStream.range(0, 8).mapToObj(i -> "user-" + i).toList();

  static final List<UserDetails> ALL =
      NAMES.stream()
          .map(name -> User.withUsername(name).password(name).roles("USER").build())
          .toList();

  /** Takes no time: the herd is there to load what is shared, not the hashing of passwords. */
  static final PasswordEncoder PLAIN =
      new PasswordEncoder() {
        @Override
        public String encode(CharSequence password) {
          return password.toString();
        }

        @Override
        public boolean matches(CharSequence password, String encoded) {
          return encoded.contentEquals(password);
        }
      };

  private Users() {}
}
