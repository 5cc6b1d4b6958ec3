"""The captions in a real Chromium."""
