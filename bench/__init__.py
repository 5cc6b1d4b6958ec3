"""Benchmarks: seeded, warmed up, one comparable line out and JSON beside it."""
