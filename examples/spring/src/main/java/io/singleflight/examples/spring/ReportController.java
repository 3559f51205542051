package io.singleflight.examples.spring;

import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;

/** Serves reports. */
@RestController
class ReportController {

  private final Reports reports;

  ReportController(Reports reports) {
    this.reports = reports;
  }

  @GetMapping("/reports/{customer}")
  ResponseEntity<Report> report(@PathVariable String customer) {
    return ResponseEntity.of(reports.of(customer));
  }
}
