"""Targets of coverage-guided fuzzing, a parser each: `check` must hold for any bytes, `seeds` are where it begins."""

__all__ = ["TARGETS"]

TARGETS = (
    "native",
    "kyutai",
    "json_doors",
    "ogg",
    "opus",
    "rtp",
    "timeline",
    "configuration",
    "tokens",
    "addresses",
    "requests",
)
