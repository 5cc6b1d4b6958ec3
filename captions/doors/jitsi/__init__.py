"""Jitsi's MediaJSON: the videobridge exports a meeting's audio over one WebSocket."""
