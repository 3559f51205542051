package org.springframework.samples.petclinic;

import io.singleflight.spring.SharedCall;

/** A bean of an application that lives among Spring's packages, as Spring's samples do. */
public class Vets {

  /** Fails if it is shared, as it cannot be. */
  @SharedCall(name = " ")
  public String all() {
    return "all";
  }
}
