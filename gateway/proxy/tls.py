"""TLS contexts, which follow their files: towards upstreams mutual where a certificate is configured, names verified;
towards clients with the certificate of the name that they ask for.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from cryptography import x509

from gateway.model import Certificate, ClientTls, ServerTls

log = logging.getLogger("gateway.tls")

Stamp = tuple[tuple[int, int, int], ...]
Names = dict[str, ssl.SSLContext | None]  # a host, or *. and a domain → its context; None: the default one

PROTOCOLS = ["http/1.1"]
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2: forward secrecy and AEAD alone (RFC 9325 4.2)
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """TLS ≥ 1.2; the peer's name is verified always. Raises OSError and ssl.SSLError for unusable files."""
    context = ssl.create_default_context(cafile=None if tls.ca is None else str(tls.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(PROTOCOLS)
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    return context


def server_context(tls: ServerTls) -> ssl.SSLContext:
    """TLS 1.2 or later, no renegotiation, HTTP/1.1 alone. The first certificate that has a name is that name's.

    Raises OSError, ssl.SSLError and ValueError for unusable files.
    """
    contexts = [_one_certificate(tls, certificate) for certificate in tls.certificates]
    names: Names = {}
    for context, certificate in zip((None, *contexts[1:]), tls.certificates, strict=True):
        for name in names_of(certificate.cert):
            names.setdefault(name, context)
    contexts[0].sni_callback = partial(_choose, names)
    return contexts[0]


def _one_certificate(tls: ServerTls, certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[tls.min_version]
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(PROTOCOLS)
    context.load_cert_chain(*certificate)
    if tls.client_ca is not None:
        context.load_verify_locations(tls.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if tls.client_required else ssl.CERT_OPTIONAL
    return context


def _choose(names: Names, handshake: ssl.SSLObject, name: str | None, _default: ssl.SSLContext) -> None:
    """The certificate for a name (RFC 6066 3); where there is none the default, which the client will judge."""
    if name is None:
        return
    name = name.lower()
    context = names.get(name) if name in names else names.get("*." + name.partition(".")[2])
    if context is not None:
        handshake.context = context


def names_of(cert: Path) -> list[str]:
    """The host names of a certificate (RFC 9525: the subject's are not looked at), in lower case; raises ValueError."""
    certificate = x509.load_pem_x509_certificates(cert.read_bytes())[0]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]


class ReloadedContext:
    """The context made of some files as they are now; an unusable change keeps the last good one.

    `generation` rises with each change, so that connections made before can be retired.
    """

    def __init__(self, files: Iterable[Path | None], make: Callable[[], ssl.SSLContext]) -> None:
        """`make` raises OSError, ssl.SSLError or ValueError for unusable files."""
        self._files = tuple(path for path in files if path is not None)
        self._make = make
        self._stamp = self._read_stamp()
        self.context = make()
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
            self.context = self._make()
        except (OSError, ValueError) as error:
            log.warning("certificates changed but cannot be used, the old ones stay: %s", error)
            return False
        self.generation += 1
        log.info("certificates reloaded: %s", ", ".join(map(str, self._files)))
        return True

    def _read_stamp(self) -> Stamp:
        return tuple(map(identity_of, self._files))


def reloaded_client(tls: ClientTls) -> ReloadedContext:
    """Towards upstreams. Raises OSError and ssl.SSLError for unusable files."""
    return ReloadedContext((tls.ca, tls.cert, tls.key), lambda: client_context(tls))


def reloaded_server(tls: ServerTls) -> ReloadedContext:
    """Towards clients. Raises OSError, ssl.SSLError and ValueError for unusable files."""
    files = (tls.client_ca, *(path for certificate in tls.certificates for path in certificate))
    return ReloadedContext(files, lambda: server_context(tls))


def identity_of(path: Path) -> tuple[int, int, int]:
    """What changes with a file's content: inode (a Kubernetes symlink swap), modification time, size."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
