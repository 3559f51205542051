/**
 * Regression tests: what libraries of this kind, in several languages, were seen to get wrong, each
 * with the mechanism and where it was found. They use the public API only.
 */
package io.singleflight.peers;
