"""Kyutai's streaming speech-to-text behind the model interface."""
