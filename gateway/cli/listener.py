"""How verbs talk to a running gateway: by its admin listener, from the same machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.output import tell
from gateway.cli.plans import read

PATIENCE = 180.0  # seconds: reading plans, and making them ready in every worker
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound

Admin = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Its admin listener, if not the one that DIR says.")
]


def ask(
    verb: str, folder: Path, admin: str | None, method: str, path: str, members: dict[str, Any] | None = None
) -> tuple[int, Any]:
    """The status and the answer of the gateway that runs with the plans in `folder`; exits 1 where none answers."""
    return _asked(verb, folder, admin, method, path, members, json.loads)


def fetch(verb: str, folder: Path, admin: str | None, path: str) -> tuple[int, bytes]:
    """The same, of a page that is not JSON."""
    return _asked(verb, folder, admin, "GET", path, None, bytes)


def _asked(
    verb: str,
    folder: Path,
    admin: str | None,
    method: str,
    path: str,
    members: dict[str, Any] | None,
    parse: Callable[[bytes], Any],
) -> tuple[int, Any]:
    host, port = address(admin) if admin is not None else read(folder).admin
    try:
        status, answer = _exchange(LOOPBACK.get(host, host), port, method, path, members)
        return status, parse(answer)
    except (OSError, HTTPException, ValueError) as error:
        tell(f"gateway {verb}: no gateway answers at {host}:{port}: {error}")
        raise typer.Exit(1) from None


def address(text: str) -> tuple[str, int]:
    """Host and port; raises a usage error."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal():
        raise typer.BadParameter(f"'{text}' is not HOST:PORT", param_hint="--admin")
    return host.strip("[]"), int(port)


def _exchange(host: str, port: int, method: str, path: str, members: dict[str, Any] | None) -> tuple[int, bytes]:
    connection = HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request(method, path, None if members is None else json.dumps(members))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
