"""Finding speech: the detector, batched over tracks, and the gate that turns its opinion into spurts."""
