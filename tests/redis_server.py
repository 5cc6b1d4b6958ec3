"""A real Redis for tests, where there is one."""

from __future__ import annotations

import shutil

import pytest

from bench.servers.redis_server import RedisServer, redis_server

__all__ = ["RedisServer", "needs_redis", "redis_server"]

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
