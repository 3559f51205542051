/** A Spring Boot service in front of a SQL database, with one shared method. */
@org.jspecify.annotations.NullMarked
package io.singleflight.examples.spring;
