"""On what terms a listener takes connections: compiled from the configuration, its certificates as they are now."""

from __future__ import annotations

import ssl

from gateway.model import Listener
from gateway.proxy.tls import reloaded_server


class Terms:
    """What all connections of a listener have in common. None: plain HTTP from anybody."""

    def __init__(self, listener: Listener | None = None) -> None:
        """Raises OSError, ssl.SSLError and ValueError for unusable certificates."""
        tls = None if listener is None else listener.tls
        self._tls = None if tls is None else reloaded_server(tls)
        self.proxy_protocol = listener is not None and listener.proxy_protocol
        self.redirect = None if listener is None else listener.redirect
        self.hsts = b"" if tls is None or not tls.hsts else b"strict-transport-security: %b\r\n" % tls.hsts.encode()

    @property
    def context(self) -> ssl.SSLContext | None:
        """For a new connection; None: plain HTTP."""
        return None if self._tls is None else self._tls.context

    @property
    def greets(self) -> bool:
        """Whether something comes before HTTP."""
        return self._tls is not None or self.proxy_protocol

    def reload_certificates(self) -> None:
        """Takes changed files, for new connections."""
        if self._tls is not None:
            self._tls.refresh()


PLAIN = Terms()
