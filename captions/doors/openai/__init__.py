"""OpenAI's realtime transcription: one track a connection."""
