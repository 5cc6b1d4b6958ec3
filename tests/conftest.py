"""Fixtures of more than one test module, and how hypothesis runs: nothing is timed, on a slow machine either."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("captions", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("captions")
