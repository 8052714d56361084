"""TLS towards upstreams: mutual where a certificate is configured, names verified, files reloaded when they change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from gateway.model import ClientTls

log = logging.getLogger("gateway.tls")

Stamp = tuple[tuple[int, int, int], ...]


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """TLS ≥ 1.2; the peer's name is verified always. Raises OSError and ssl.SSLError for unusable files."""
    context = ssl.create_default_context(cafile=None if tls.ca is None else str(tls.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    return context


class ReloadedContext:
    """The context of an upstream's files as they are now; an unusable change keeps the last good one.

    `generation` rises with each change, so that connections made before can be retired.
    """

    def __init__(self, tls: ClientTls) -> None:
        self._tls = tls
        self._stamp = self._read_stamp()
        self.context = client_context(tls)
        self.generation = 0

    def refresh(self) -> bool:
        """Looks at the files; True where a new context was taken. Cheap enough for once a second."""
        try:
            stamp = self._read_stamp()
        except OSError:
            return False  # in the middle of a swap; the next look sees the new files
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self.context = client_context(self._tls)
        except (OSError, ssl.SSLError) as error:
            log.warning("certificates changed but cannot be used, the old ones stay: %s", error)
            return False
        self.generation += 1
        log.info("certificates reloaded: %s", self._tls.cert or self._tls.ca)
        return True

    def _read_stamp(self) -> Stamp:
        return tuple(identity_of(p) for p in (self._tls.ca, self._tls.cert, self._tls.key) if p is not None)


def identity_of(path: Path) -> tuple[int, int, int]:
    """What changes with a file's content: inode (a Kubernetes symlink swap), modification time, size."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
