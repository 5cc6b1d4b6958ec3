"""The protocol of Vosk's WebSocket server."""
