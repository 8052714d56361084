"""Clients that speak TLS, and the files of servers that do."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from gateway.model import Address, Certificate, Listener, ServerTls

ANY = Address("127.0.0.1", 0)


class Files:
    """A CA, and what it issued, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.clients = trustme.CA()
        self.clients.cert_pem.write_to_path(folder / "clients.pem")

    def certificate(self, *names: str, file: str = "") -> Certificate:
        """For these names, in a file that is named by the first; written anew, it is another one."""
        file = file or names[0].replace("*", "any")
        issued = self.ca.issue_cert(*names)
        certificate = Certificate(self.folder / f"{file}.pem", self.folder / f"{file}.key")
        issued.private_key_pem.write_to_path(certificate.key)
        certificate.cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        return certificate

    def listener(self, *certificates: Certificate, **settings: object) -> Listener:
        """With TLS; `settings` are those of ServerTls."""
        if settings.pop("asks", None):
            settings["client_ca"] = self.folder / "clients.pem"
        certificates = certificates or (self.certificate("a.example.com"),)
        return Listener(address=ANY, tls=ServerTls(certificates=certificates, **settings))

    def client(self, issuer: trustme.CA | None = None, *, most: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """A client that trusts the CA, with a certificate of `issuer`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ca.configure_trust(context)
        context.set_alpn_protocols(["h2", "http/1.1"])
        if issuer is not None:
            issuer.issue_cert("client@example.com").configure_cert(context)
        if most is not None:
            context.maximum_version = most
        return context


@contextmanager
def dialled(
    port: int, context: ssl.SSLContext, name: str | None = "a.example.com", before: bytes = b""
) -> Iterator[ssl.SSLSocket]:
    """A blocking connection, for a thread: the handshake is done, after the bytes `before`."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.sendall(before)
        with context.wrap_socket(plain, server_hostname=name) as sock:
            yield sock


def ask(sock: ssl.SSLSocket, request: bytes) -> bytes:
    """An answer with a Content-Length."""
    sock.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += received(sock)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += received(sock)
    return head + b"\r\n\r\n" + body


def received(sock: ssl.SSLSocket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("closed before the answer's end")
    return data


def talk(
    port: int, context: ssl.SSLContext, request: bytes, name: str | None = "a.example.com", before: bytes = b""
) -> bytes:
    """One answer on a connection of its own; raises what a client gets to see."""
    with dialled(port, context, name, before) as sock:
        return ask(sock, request)


async def in_thread(work: object, *arguments: object) -> object:
    """A blocking client, while the loop serves it."""
    return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)
