"""What services are told of who asks, as one configuration says it: backends before pools, and the page of keys."""

from __future__ import annotations

import time
from collections.abc import Mapping

from gateway.identity.outward.assertions import Assertions
from gateway.identity.outward.board import Board, Records
from gateway.identity.outward.exchange import Exchanged
from gateway.identity.outward.signing_keys import SigningKeys
from gateway.identity.passport import Passport
from gateway.model import Config, Telling, Upstream
from gateway.proxy.backend import Backend, Way
from gateway.proxy.measuring import Measuring
from gateway.proxy.onward import Onward, Voucher
from gateway.proxy.pages import Page
from gateway.proxy.pool import Pool

FOLDER = "signing"
CACHED = {"Cache-Control": "public, max-age=300"}


def signing_keys(config: Config) -> SigningKeys | None:
    """None where the gateway signs nothing. Raises OSError for a folder that cannot be used."""
    settings = config.identity_tokens
    if settings is None:
        return None
    keys = SigningKeys(config.data / FOLDER, settings.rotate, time.time)
    keys.current()
    return keys


def board(config: Config, keys: SigningKeys, records: Records) -> Board:
    assert config.identity_tokens is not None
    return Board(keys, records, config.identity_tokens.rotate)


def onward(
    config: Config, passport: Passport, keys: SigningKeys | None, pools: Mapping[Way, Pool]
) -> dict[Way, Backend]:
    """What stands before a pool, where a service is told otherwise than by its clients' own credentials, or says itself
    what a request costs.
    """
    made: dict[Way, Backend] = {}
    for way, pool in pools.items():
        service = way if not isinstance(way, tuple) else way[0]
        if any(rule.measures for rule in service.rules):
            made[way] = Measuring(pool)
        telling = pool.upstream.identity
        if telling.telling is not Telling.PASS:
            voucher = _voucher(config, passport, keys, pool.upstream)
            made[way] = Onward(made.get(way, pool), service, telling.header, voucher)
    return made


def _voucher(config: Config, passport: Passport, keys: SigningKeys | None, upstream: Upstream) -> Voucher | None:
    told = upstream.identity
    if told.telling is Telling.EXCHANGE:
        return Exchanged(passport.exchanger, told.audience, told.scope)
    if told.telling is Telling.TOKEN:
        assert keys is not None and config.identity_tokens is not None
        scheme = b"Bearer " if told.header == "authorization" else b""
        return Assertions(keys, config.identity_tokens.issuer, told.audience, time.time, scheme=scheme)
    return None


def keys_page(config: Config, board: Board) -> Page:
    """The public keys of all gateways, as a JWK set (RFC 7517 5), for whoever asks."""
    assert config.identity_tokens is not None
    path = config.identity_tokens.path

    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route, Router

    async def keys(_: Request) -> JSONResponse:
        return JSONResponse({"keys": await board.keys()}, headers=CACHED)

    return Page("keys", Router([Route(path, keys)]), path=path)
