"""The redis package's client for an address: of one Redis, of the master that a Sentinel names, or of a Cluster."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

__all__ = ["redis_client"]

_TIMEOUT_S = 1.0
"""A Redis that has not answered for so long is away."""


def redis_client(url: str) -> tuple[Any, bool]:
    """The package's client for an address, and whether it is one of a Cluster. Connects when first used."""
    options: dict[str, Any] = {
        "socket_timeout": _TIMEOUT_S,
        "socket_connect_timeout": _TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    split = urlsplit(url)
    scheme, _, kind = split.scheme.partition("+")
    plain = urlunsplit(split._replace(scheme=scheme))
    if kind == "cluster":
        return RedisCluster.from_url(plain, **options), True
    if kind == "sentinel":
        hosts = split.netloc.rpartition("@")[2].split(",")
        sentinels = [(host.partition(":")[0], int(host.partition(":")[2] or 26_379)) for host in hosts]
        login = {"username": split.username, "password": split.password, "ssl": scheme == "rediss"}
        sentinel: Any = Sentinel(sentinels, sentinel_kwargs=options, **options, **login)  # type: ignore[no-untyped-call]
        return sentinel.master_for(split.path.strip("/")), False
    return Redis.from_url(plain, **options), False
