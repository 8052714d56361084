"""`gateway explain`: what the gateway would decide of a token or a request, and why."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import Format, Output, print_json
from gateway.cli.plans import Folder, read

if TYPE_CHECKING:
    from gateway.explain.ask import Ask
    from gateway.explain.step import Step
    from gateway.model import Config

Token = Annotated[
    str | None, typer.Argument(metavar="TOKEN", help="An access token; - to read it from stdin, out of the history.")
]


def explain(
    folder: Folder,
    token: Token = None,
    request: Annotated[
        str | None, typer.Option("--request", "-r", metavar="'METHOD PATH'", help="A request, as 'GET /orders?id=1'.")
    ] = None,
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="Its host.")] = "localhost",
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header of it; repeatable.")
    ] = None,
    address: Annotated[str, typer.Option("--address", metavar="IP", help="The client's address.")] = "127.0.0.1",
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="FILE", dir_okay=False, exists=True, help="Its own, in PEM.")
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Tell what a gateway with the plans in DIR would decide of a token, or of a request, and why, step by step.

    Nothing is counted, and no service is asked. Providers are asked for their keys, and the store for what is spent,
    revoked and suspended. The exit code is 1 where a step refuses.
    """
    if token is None and request is None:
        raise typer.BadParameter("say what: a TOKEN, or --request")
    text = sys.stdin.readline().strip() if token == "-" else token  # noqa: S105 - a sign for stdin
    fields = list(header or ())
    if text is not None:
        fields.append(f"Authorization: Bearer {text}")
    config = read(folder)
    steps = asyncio.run(_explained(config, text or "", request, (host, fields, address, certificate)))
    if output is Format.JSON:
        print_json([step._asdict() for step in steps])
    else:
        for step in steps:
            code = f" ({' '.join(filter(None, (str(step.status or ''), step.code)))})" if step.code else ""
            print(f"{step.verdict:8} {step.about}: {step.text}{code}")
    if any(step.verdict == "refused" for step in steps):
        raise typer.Exit(1)


async def _explained(
    config: Config, token: str, request: str | None, of: tuple[str, list[str], str, Path | None]
) -> list[Step]:
    from gateway.errors import GatewayError
    from gateway.explain.place import explaining
    from gateway.explain.step import refused

    ask = None
    if request is not None:
        try:
            ask = _ask(request, *of)
        except GatewayError as error:
            return [refused("request", error)]
    async with explaining(config) as (explainer, notes):
        steps = explainer.token(token.encode()) if ask is None else explainer.request(ask)
        return [*notes, *[step async for step in steps]]


def _ask(request: str, host: str, fields: list[str], address: str, certificate: Path | None) -> Ask:
    """Raises a usage error, and what refuses the request's head."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from gateway.explain.ask import read as read_request

    try:
        der = None
        if certificate is not None:
            der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)
        return read_request(request, host, fields, address, der)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
