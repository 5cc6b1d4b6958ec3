"""Deepgram's live transcription: one track a connection."""
