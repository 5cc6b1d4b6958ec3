"""LiveKit's Track Egress: one track of raw PCM a connection."""
