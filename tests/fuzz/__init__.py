"""Targets of coverage-guided fuzzing, a parser each: `check` must hold for any bytes, `seeds` are where it begins."""

__all__ = ["TARGETS"]

TARGETS = ("native", "kyutai", "ogg", "opus", "timeline", "configuration", "tokens", "addresses")
