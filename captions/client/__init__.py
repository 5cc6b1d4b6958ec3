"""The Python client of the native protocol, which the commands, the benchmarks and other people's code use."""

from captions.client.client import Client
from captions.client.link import GATHER_S, ConnectError
from captions.client.watching import watch

__all__ = ["GATHER_S", "Client", "ConnectError", "watch"]
