"""What upstreams are told of who asks: what that needs elsewhere in the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from gateway import model
from gateway.config.blocks import File
from gateway.config.blocks.onward import IdentityTokens, OnwardKeys
from gateway.config.blocks.services import Service
from gateway.config.build.context import Context, Where
from gateway.config.problems import Complaint


def onward(service: str, read: OnwardKeys | model.Onward) -> model.Onward:
    """As an upstream has it: a token is for the service where nothing is said."""
    found = read if isinstance(read, model.Onward) else read.onward
    return replace(found, audience=found.audience or service) if found.telling is model.Telling.TOKEN else found


def identity_tokens(block: IdentityTokens | None) -> model.IdentityTokens | None:
    return None if block is None else model.IdentityTokens(issuer=block.issuer, path=block.path, rotate=block.rotate)


def check_onward(file: File, services: Mapping[str, model.Service], context: Context) -> None:
    """Tokens have an issuer; what is exchanged is there, and its provider exchanges."""
    for name, block in file.services.items():
        for where, telling in _tellings(name, block, services[name]):
            if telling is model.Telling.TOKEN and file.gateway.identity_tokens is None:
                if not context.faulty("gateway", "identity_tokens"):
                    text = "needs gateway.identity_tokens, which says who issues them"
                    context.complain(where, Complaint(text))
            elif telling is model.Telling.EXCHANGE:
                _check_exchange(name, block, file, where, context)


def _tellings(name: str, block: Service, service: model.Service) -> Iterator[tuple[Where, model.Telling]]:
    places = ["upstream"] if block.upstreams is None else [("upstreams", one) for one in block.upstreams]
    for place, upstream in zip(places, (service.upstream, *service.upstreams.values()), strict=True):
        parts = (place,) if isinstance(place, str) else place
        yield ("services", name, *parts, "identity"), upstream.identity.telling


def _check_exchange(name: str, block: Service, file: File, where: Where, context: Context) -> None:
    for position, line in enumerate(block.accept):
        if line.jwt is None:
            text = "has no token that could be exchanged for the service; `identity: token` is for all credentials"
            context.complain(("services", name, "accept", position), Complaint(text))
            continue
        provider = file.identity.get(line.jwt)
        if provider is not None and provider.oidc is not None and provider.oidc.exchange is None:
            text = f"needs identity.{line.jwt}.oidc.exchange: as which client tokens are exchanged"
            context.complain(where, Complaint(text))
