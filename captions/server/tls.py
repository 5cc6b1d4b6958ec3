"""The server's certificate, which can be renewed while it runs."""

from __future__ import annotations

import ssl

from captions.config import ConfigError, ServerConfig

__all__ = ["Certificate"]


class Certificate:
    """`context` is for the listening socket; `load` again takes what the files hold by then, for new connections.

    Raises:
        ConfigError: the files cannot be read, or are no certificate and its key.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.context = _context()
        self.load(config)

    def load(self, config: ServerConfig) -> None:
        """What the files hold now.

        Raises:
            ConfigError: they cannot be read or do not belong together; what was loaded before stays.
        """
        for context in (_context(), self.context):
            try:
                context.load_cert_chain(config.tls_cert, config.tls_key)
            except OSError as error:
                files = f"{config.tls_cert} and {config.tls_key}"
                raise ConfigError(
                    f"server.tls_cert: {files}: {error.strerror or 'no certificate and its key'}"
                ) from None


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
