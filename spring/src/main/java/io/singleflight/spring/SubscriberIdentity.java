package io.singleflight.spring;

/** An identity that only a subscription has, in its Reactor context: it answers a Mono. */
interface SubscriberIdentity extends CallerIdentity {}
