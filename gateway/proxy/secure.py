"""A client's connection with TLS: the protocol of its bytes on one side, the transport of what they say on the other.

The same on every event loop, and without a task: a handshake is counted, timed and ended like any other connection.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Protocol

RECORD = 16 * 1024  # bytes of a record (RFC 8446 5.1)


class Greeter(Protocol):
    """Who waits for the handshake."""

    def secured(self, transport: SecureTransport) -> asyncio.Protocol:
        """It is done; what serves the connection."""

    def failed(self, reason: str) -> None:
        """It cannot be done; what the client is to be told is written."""

    def connection_lost(self, exc: Exception | None) -> None:
        """In the middle of it."""


class SecureTransport(asyncio.Protocol):
    """Give it to `raw` as its protocol. It has of a transport what a client's connection uses."""

    __slots__ = ("_encrypted", "_greeter", "_loop", "_protocol", "_raw", "_reading", "_received", "_tls")

    def __init__(self, raw: asyncio.Transport, context: ssl.SSLContext, greeter: Greeter) -> None:
        self._raw = raw
        self._greeter = greeter
        self._received = ssl.MemoryBIO()
        self._encrypted = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._encrypted, server_side=True)
        self._protocol: asyncio.Protocol | None = None  # while the handshake goes on
        self._reading = True
        self._loop = asyncio.get_running_loop()

    @property
    def certificate(self) -> bytes | None:
        """The client's, verified, in DER."""
        return self._tls.getpeercert(binary_form=True)

    # --- the protocol of the bytes

    def data_received(self, data: bytes) -> None:
        self._received.write(data)
        if self._protocol is not None or self._shake_hands():
            self._deliver()

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._flush()
            self._greeter.failed(reason_of(error))
            return False
        self._flush()
        self._protocol = self._greeter.secured(self)
        return True

    def _deliver(self) -> None:
        """Whatever records are whole, as far as they are wanted."""
        tls, received, protocol = self._tls, self._received, self._protocol
        assert protocol is not None
        try:
            while self._reading and (received.pending or tls.pending()) and not self._raw.is_closing():
                data = tls.read(RECORD)
                if not data:  # the client's close_notify: as its end of a plain connection
                    self.close()
                    return
                protocol.data_received(data)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:  # a record that is not the client's
            self._flush()
            self._raw.abort()
        if self._encrypted.pending:
            self._flush()

    def _flush(self) -> None:
        if self._encrypted.pending:
            self._raw.write(self._encrypted.read())

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._reading = False
        (self._protocol or self._greeter).connection_lost(exc)

    # --- the transport of what they say

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:  # a record at a time
                view = view[self._tls.write(view) :]
        except ssl.SSLError:  # after the end
            return
        self._raw.write(self._encrypted.read())

    def can_write_eof(self) -> bool:
        return self._raw.can_write_eof()

    def write_eof(self) -> None:
        self._say_goodbye()
        self._raw.write_eof()

    def close(self) -> None:
        self._say_goodbye()
        self._raw.close()

    def _say_goodbye(self) -> None:
        """close_notify, so that nobody can cut an answer short unseen (RFC 8446 6.1)."""
        if not self._raw.is_closing():
            with suppress(ssl.SSLError):  # that the client has not said it yet
                self._tls.unwrap()
            self._flush()

    def abort(self) -> None:
        self._raw.abort()

    def is_closing(self) -> bool:
        return self._raw.is_closing()

    def pause_reading(self) -> None:
        self._reading = False
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._reading = True
        self._raw.resume_reading()
        if self._received.pending or self._tls.pending():
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._reading:
            self._deliver()

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._raw.get_extra_info(name, default)


def reason_of(error: ssl.SSLError) -> str:
    """OpenSSL's words, such as `no shared cipher`."""
    return (error.reason or "unknown reason").lower().replace("_", " ")
