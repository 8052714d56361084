"""Who is at the other end of a connection within this machine, as Linux knows it."""

from __future__ import annotations

import pwd
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

ESTABLISHED = "01"


def user_of(host: str, port: int) -> str | None:
    """The user whose socket has this loopback address, by name or else number; None if that cannot be told.

    From /proc/net/tcp, see proc_pid_net(5). What he says of himself is not needed for it.
    """
    own = _written(host, port)
    for place in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for local, state, uid in _sockets(place):
            if local == own and state == ESTABLISHED:
                return _name(uid)
    return None


def _written(host: str, port: int) -> str:
    """An address as the kernel prints it: words of 32 bits in the machine's order."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    packed = socket.inet_pton(family, host)
    return "".join(f"{word:08X}" for (word,) in struct.iter_unpack("=I", packed)) + f":{port:04X}"


def _sockets(place: Path) -> Iterator[tuple[str, str, int]]:
    """Local address, state and owner of each."""
    try:
        lines = place.read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        _, local, _, state, _, _, _, uid, *_ = line.split()
        yield local, state, int(uid)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
