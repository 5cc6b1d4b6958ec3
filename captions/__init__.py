"""Realtime live captions for video meetings."""

__all__ = ["__version__"]

__version__ = "0.1.0"
