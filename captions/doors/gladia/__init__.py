"""Gladia's live transcription: one track a connection, whose address is asked for first."""
