"""One module a wire protocol: bytes to events and back, no I/O."""
