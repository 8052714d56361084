"""The corpus: bad input is refused with its code, cheaply, with one line in the log, and nobody else is asked.

Run one class with `scripts/test tests/identity/test_corpus.py -k octets`.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from corpus.identity.cases import CLASSES
from corpus.identity.notation import Case, Scene, Sent
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.model import Identity, Introspection
from gateway.store.memory_records import MemoryRecords
from gateway.store.replays import Replays

from .proofs import Holder

JWT = {"jwt": "keycloak"}
ASKS = Introspection(client_id="gateway", client_secret="s3cret", tokens=("opaque", "lightweight"))
SIGNED = replace(ASKS, tokens=("lightweight",))
READ = {"told", "opaque", "opaque tokens", "unread"}  # classes of tokens that the provider reads; the others are signed
CASES = [
    pytest.param(case, ASKS if name in READ else SIGNED, id=f"{name}: {case.name}")
    for name, cases in CLASSES.items()
    for case in cases
]
CPU = 0.005  # seconds that one bad request may take
CONNECTED: list[Any] = []  # addresses, while somebody listens
LISTENING = [False]


def hook(event: str, arguments: tuple[Any, ...]) -> None:
    if LISTENING[0] and event == "socket.connect":
        CONNECTED.append(arguments[1])


@pytest.fixture(scope="module", autouse=True)
def listening() -> Iterator[None]:
    """To where connections are opened."""
    if not hasattr(sys, "_corpus_hook"):
        sys.addaudithook(hook)
        sys._corpus_hook = True  # type: ignore[attr-defined]
    LISTENING[0] = True
    yield
    LISTENING[0] = False


@pytest.fixture
def scene(issuer, privates, jwk) -> Scene:
    return Scene(issuer, privates, Holder(privates["ES256"]), jwk)


@pytest.fixture
def opening(opened, clock):
    records = MemoryRecords(clock)
    records._since = 0.0
    return lambda asks=SIGNED: opened(introspection=asks, replays=Replays(records))


def request(ask, sent: Sent, scene: Scene):
    """What is sent, once the provider says what it is to say."""
    text = sent.token if isinstance(sent.token, bytes) else sent.token.encode()
    if sent.told is not None:
        scene.issuer.told[text.decode()] = sent.told
    if sent.keys is not None:
        scene.issuer.jwks[:] = sent.keys
    fields = [(b"authorization", sent.scheme + b" " + text), *((b"dpop", proof) for proof in sent.proofs)]
    return ask([*fields, *sent.more])


def secrets_of(sent: Sent) -> list[str]:
    """What no line may repeat."""
    texts = [sent.token if isinstance(sent.token, str) else sent.token.decode("latin-1")]
    texts += [proof.decode("latin-1") for proof in sent.proofs]
    return [part for text in texts for part in text.split(".") if len(part) > 8] + ["s3cret"]


@pytest.mark.parametrize(("case", "asks"), CASES)
async def test_what_comes_of_it(case: Case, asks: Introspection, opening, scene, service, ask, who, caplog) -> None:
    CONNECTED.clear()
    sent = case.make(scene)
    asked = request(ask, sent, scene)
    host, port = scene.issuer.origin.removeprefix("http://").split(":")
    async with opening(asks) as passport:
        caplog.set_level(logging.INFO, "gateway.identity")
        caplog.clear()
        try:
            answer: Identity | GatewayError = await who(passport, service(JWT), asked)
        except GatewayError as error:
            answer = error
        lines = [line for line in caplog.records if hasattr(line, "code")]
        assert {(address[0], address[1]) for address in CONNECTED} <= {(host, int(port))}
        if case.code is None:
            assert isinstance(answer, Identity), answer
            return
        assert isinstance(answer, GatewayError)
        assert (answer.code, answer.status) == (case.code, case.status)
        assert not any(secret in str([line.__dict__ for line in caplog.records]) for secret in secrets_of(sent))
        assert [line.code for line in lines] == [case.code] * (case.status != 503)
        assert cost(passport, service(JWT), asked) <= CPU


def cost(passport, service, asked) -> float:
    """CPU time of a refusal, of several attempts the least."""
    costs = []
    for _ in range(3):
        begun = time.thread_time()
        with suppress(GatewayError):
            passport.identify(service, asked, lambda _: None)
        costs.append(time.thread_time() - begun)
    return min(costs)


def test_it_is_large_and_each_case_has_its_reason() -> None:
    cases = [case for some in CLASSES.values() for case in some]
    assert sum(case.code is not None for case in cases) >= 150
    assert sum(case.code is None for case in cases) >= 30
    assert all(case.rule for case in cases)
    for some in CLASSES.values():
        assert len({case.name for case in some}) == len(some)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


async def test_nothing_but_a_decided_refusal_comes_of_any_proof(opening, scene, service, ask) -> None:
    """Well signed claims and headers of any shape, and octets that were changed."""
    holder, protected = scene.holder, service(JWT)
    token = scene.issuer.token(cnf=holder.cnf)

    @given(
        claims=st.dictionaries(st.sampled_from(["jti", "htm", "htu", "iat", "ath", "nonce"]), json_values, max_size=2),
        header=st.dictionaries(st.sampled_from(["alg", "typ", "jwk", "crit", "kid"]), json_values, max_size=1),
        key=st.dictionaries(st.sampled_from([*holder.jwk, "use", "alg", "key_ops", "kid", "n", "e"]), json_values),
        place=st.integers(0, 400),
        noise=st.binary(max_size=4),
    )
    @settings(max_examples=100, deadline=None)
    def holds(claims, header, key, place, noise) -> None:
        head = holder.header(**{"jwk": {**holder.jwk, **key}, **header})
        good = holder.sign(json.dumps(head).encode(), json.dumps({**holder.claims(token), **claims}).encode())
        for proof in (good, good[:place] + noise + good[place + len(noise) :], noise):
            asked = ask([(b"authorization", b"DPoP " + token.encode()), (b"dpop", proof)])
            try:
                assert passport.identify(protected, asked, lambda _: None) is None
            except GatewayError as error:
                assert error.status == 401

    async with opening() as passport:
        holds()
