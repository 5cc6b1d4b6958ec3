"""Our own protocol, `captions.v1`: many tracks on one connection, sessions that outlive it."""
