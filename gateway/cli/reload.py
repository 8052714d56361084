"""`gateway reload`: have a running gateway read its files again."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import Annotated, Any

import typer

from gateway.cli.output import Format, Output, print_json, tell
from gateway.cli.plans import Folder, read

PATIENCE = 180.0  # seconds: reading, and making it ready in every worker
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def reload(
    folder: Folder,
    admin: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Its admin listener, if not the one that DIR says.")
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Have the gateway that runs on this machine read its plans again, without losing a request.

    It takes all of them or, where they have problems, none: then each is shown, and the exit code is 1.
    """
    host, port = address(admin) if admin is not None else read(folder).admin
    try:
        status, answer = post(LOOPBACK.get(host, host), port)
    except (OSError, HTTPException, ValueError) as error:
        tell(f"gateway reload: no gateway answers at {host}:{port}: {error}")
        raise typer.Exit(1) from None
    if output is Format.JSON:
        print_json(answer)
    elif status == 200:
        print(answer["detail"])
    else:
        tell(*(problem["text"] for problem in answer.get("problems", ())), answer.get("detail", answer["title"]))
    if status != 200:
        raise typer.Exit(1)


def address(text: str) -> tuple[str, int]:
    """Host and port; raises a usage error."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal():
        raise typer.BadParameter(f"'{text}' is not HOST:PORT", param_hint="--admin")
    return host.strip("[]"), int(port)


def post(host: str, port: int) -> tuple[int, Any]:
    """The status and the answer of the admin listener."""
    connection = HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request("POST", "/reload")
        answer = connection.getresponse()
        return answer.status, json.load(answer)
    finally:
        connection.close()
