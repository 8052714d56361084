"""Tokens that are good only with a key: a client's certificate (RFC 8705), or DPoP (RFC 9449).

What a token's `cnf` asks for is checked at every request, also of a token that is known. What cannot be checked is
refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from gateway.errors import GatewayError, Unavailable
from gateway.identity.credentials import Ask
from gateway.identity.dpop import AHEAD, Proof, check_proof, digest_of
from gateway.identity.nonces import NonceKeys, Nonces
from gateway.identity.refusals import InvalidProof, InvalidToken, NonceRequired
from gateway.identity.verifier import Answer
from gateway.model import Dpop, Identity

RETRY_AFTER = 1  # seconds, told with 503


class Replays(NonceKeys, Protocol):
    async def is_first(self, name: str, seconds: float, made: float) -> bool:
        """Whether what `name` stands for was not used before; it is remembered for `seconds`. What is older than the
        memory (`made`, in Unix seconds) counts as used. Raises GatewayError."""


class Shown(NamedTuple):
    """A token as it was sent: by which scheme, to whom it belongs."""

    text: bytes
    dpop: bool
    settings: Dpop


class Possession:
    """Checks what tokens are bound to. Use it in one event loop."""

    def __init__(self, replays: Replays | None, clock: Callable[[], float]) -> None:
        """`replays` None: a DPoP proof cannot be checked."""
        self._replays = replays
        self._nonces = None if replays is None else Nonces(replays, clock)
        self._clock = clock
        self._asking: set[asyncio.Task[None]] = set()

    def check(self, identity: Identity, shown: Shown, ask: Ask, done: Callable[[Answer], None]) -> Identity | None:
        """The identity, if the client has what its token is bound to; None: `done` hears it later, once. Raises
        InvalidToken or GatewayError."""
        binding = identity.claims.get("cnf", {})
        if "jkt" in binding and shown.settings.use == "off":
            raise InvalidToken("token_bound", "tokens that are bound to a key are not taken here")
        if "x5t#S256" in binding:
            check_certificate(ask.certificate, binding["x5t#S256"])
        if "jkt" not in binding:
            if shown.dpop:
                raise InvalidToken("token_not_bound", "the token is not bound to a key; send it as Bearer")
            if shown.settings.use == "required":
                raise InvalidProof("dpop_required", "a token that is bound to a key by DPoP is required")
            return identity
        if not shown.dpop:
            raise InvalidProof("dpop_required", "the token is bound to a key; send it by DPoP, with a proof")
        proof = check_proof(ask, shown.text, shown.settings, self._clock())
        if proof.thumbprint != binding["jkt"]:
            raise InvalidProof("dpop_key_wrong", "the proof is by another key than the token's")
        self._start(self._ask(identity, proof, shown.settings, done))
        return None

    async def _ask(self, identity: Identity, proof: Proof, settings: Dpop, done: Callable[[Answer], None]) -> None:
        answer: Answer = Unavailable(
            "the proof cannot be checked", code="identity_unavailable", retry_after=RETRY_AFTER
        )
        try:
            if settings.nonce and (needed := await self._lacks_nonce(proof)):
                answer = needed
            elif self._replays is not None:
                lives = settings.max_age + 2 * AHEAD
                first = await self._replays.is_first(proof.identifier, lives, proof.made - AHEAD)
                detail = "the proof was used before, or is older than what is remembered; make a new one"
                answer = identity if first else InvalidProof("dpop_proof_replayed", detail)
        except GatewayError as error:
            answer = error
        finally:
            done(answer)

    async def _lacks_nonce(self, proof: Proof) -> Answer | None:
        """What tells the client the nonce that its proof has to have; None: it has one."""
        if self._nonces is None or await self._nonces.is_good(proof.nonce):
            return None
        return NonceRequired(await self._nonces.current())

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work, name="DPoP proof")
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)


def check_certificate(certificate: bytes | None, bound: str) -> None:
    """Whether the client's certificate (DER) is the one that a token is bound to; raises InvalidToken."""
    if certificate is None:
        raise InvalidToken("token_certificate_missing", "the token is bound to a certificate, which was not shown")
    if digest_of(certificate) != bound:
        raise InvalidToken("token_certificate_wrong", "the token is bound to another certificate")
