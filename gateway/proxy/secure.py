"""A connection with TLS: the protocol of its bytes on one side, the transport of what they say on the other.

The same on every event loop, towards clients and services, and without a task: a handshake is counted, timed and ended
like any other connection. It costs less than the loops' own, which try to read once more after each message.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Protocol

from gateway.proxy.cut_short import CutShortError
from gateway.proxy.wire import Wire

SLICE = 64 * 1024  # bytes given to the TLS library at a time
RECORD = 16 * 1024  # bytes of a record (RFC 8446 5.1)


class Greeter(Protocol):
    """Who waits for the handshake."""

    def secured(self, transport: SecureTransport) -> Wire:
        """It is done; what serves the connection."""

    def failed(self, error: ssl.SSLError) -> None:
        """It cannot be done; what the peer is to be told is written."""

    def connection_lost(self, exc: Exception | None) -> None:
        """In the middle of it."""


class SecureTransport(Wire):
    """Give it to `raw` as its protocol. It has of a transport what our connections use."""

    __slots__ = (
        "_encrypted",
        "_ended",
        "_error",
        "_greeter",
        "_loop",
        "_protocol",
        "_raw",
        "_reading",
        "_received",
        "_tls",
    )

    def __init__(
        self, raw: asyncio.Transport, context: ssl.SSLContext, greeter: Greeter, server: str | None = None
    ) -> None:
        """`server`: the name of the server that the peer must prove to be, which `begin` asks; None: it is a client."""
        self._raw = raw
        self._greeter = greeter
        self._received = ssl.MemoryBIO()
        self._encrypted = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._received, self._encrypted, server_side=server is None, server_hostname=server
        )
        self._ended = False  # one of both has said goodbye
        self._error: Exception | None = None
        self._protocol: Wire | None = None  # while the handshake goes on
        self._reading = True
        self._loop = asyncio.get_running_loop()

    @property
    def certificate(self) -> bytes | None:
        """The client's, verified, in DER."""
        return self._tls.getpeercert(binary_form=True)

    def begin(self) -> None:
        """The client's part of the handshake."""
        self._shake_hands()

    # --- the protocol of the bytes

    def data_received(self, data: bytes) -> None:
        if len(data) > SLICE and self._protocol is not None:
            self._receive_in_slices(data)
            return
        self._received.write(data)
        if self._protocol is not None or self._shake_hands():
            self._deliver()

    def _receive_in_slices(self, data: bytes) -> None:
        """The TLS library keeps the room that it once needed as long as the connection lasts."""
        for start in range(0, len(data), SLICE):
            if not self._raw.is_closing():
                self._received.write(data[start : start + SLICE])
                self._deliver()

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._flush()
            self._greeter.failed(error)
            return False
        self._flush()
        self._protocol = self._greeter.secured(self)
        return True

    def _deliver(self) -> None:
        """Whatever records are whole, if they are wanted."""
        tls, received, protocol = self._tls, self._received, self._protocol
        assert protocol is not None
        parts = []
        last = False
        try:
            room = received.pending or tls.pending()
            while room and self._reading:
                data = tls.read(min(room, RECORD))  # a record has room in as many bytes as it has encrypted
                if not data:
                    last = True
                    break
                parts.append(data)
                room = received.pending or (len(data) == room and tls.pending())
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:  # a record that is not the peer's, or an alert
            self._error = error
        if parts and not self._raw.is_closing():
            protocol.data_received(parts[0] if len(parts) == 1 else b"".join(parts))
        if self._encrypted.pending:
            self._flush()
        if self._error is not None:
            self._raw.abort()
        elif last:  # the peer's close_notify: as its end of a plain connection
            self.close()

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
        if exc is None and not self._ended:
            exc = self._error or CutShortError("the connection was cut short: TLS had not been ended")
        (self._protocol or self._greeter).connection_lost(exc)

    # --- the transport of what they say

    def write(self, data: bytes) -> None:
        tls = self._tls
        try:
            written = tls.write(data)
            if written < len(data):  # a record at a time
                view = memoryview(data)[written:]
                while view:
                    view = view[tls.write(view) :]
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
        self._ended = True
        if not self._raw.is_closing():
            with suppress(ssl.SSLError):  # that the peer has not said it yet
                self._tls.unwrap()
            self._flush()

    def abort(self) -> None:
        self._ended = True
        self._raw.abort()

    def is_closing(self) -> bool:
        return self._raw.is_closing()

    def pause_reading(self) -> None:
        self._reading = False
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        if self._reading:
            return
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
