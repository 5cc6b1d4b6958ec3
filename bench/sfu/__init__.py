"""A real SFU, Janus, with real WebRTC participants, on a host of its own that nothing outside can reach."""
