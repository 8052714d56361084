"""A session as a credential: its cookie, which browsers send by themselves, so that who asks must be looked at too."""

from __future__ import annotations

from collections.abc import Callable

from gateway.errors import SignInNeeded, StepUpNeeded
from gateway.identity.credentials import Ask
from gateway.identity.refusals import Invalid
from gateway.identity.verifier import SESSION, Answer, Presented
from gateway.model import Identity
from gateway.sso import cookies
from gateway.sso.browser import SAFE_METHODS, same_origin, way_in
from gateway.sso.browser import Ask as Browsed
from gateway.sso.keeper import Answer as Found
from gateway.sso.keeper import Keeper, Known

PLAIN, SECURE = (cookies.session_name(origin).encode() + b"=" for origin in ("http://", "https://"))


class SignInVerifier:
    """Sessions at one service, of the providers that it names."""

    def __init__(self, keeper: Keeper, providers: tuple[str, ...]) -> None:
        self._keeper = keeper
        self._providers = frozenset(providers)

    def recall(self, ask: Ask) -> Identity | None:
        """A known session's, for what is safe and has its cookie alone; see `present` for all else."""
        own = ask.own_cookies
        if len(own) != 1 or ask.method not in SAFE_METHODS:
            return None
        start = SECURE if ask.origin.startswith(b"https:") else PLAIN
        if not own[0].startswith(start):
            return None
        known = self._keeper.recall(own[0][len(start) :])
        return known.identity if known is not None and known.provider in self._providers else None

    def present(self, ask: Ask) -> Presented | None:
        """A session that is known, or the cookie that is to be looked at."""
        own = ask.own_cookies
        if not own:
            return None
        start = SECURE if ask.origin.startswith(b"https:") else PLAIN
        found = [pair[len(start) :] for pair in own if pair.startswith(start)]
        if not found:
            return None
        if len(found) > 1:
            raise Invalid("credentials_ambiguous", "the session's cookie is given more than once")
        if ask.method not in SAFE_METHODS and not same_origin(ask):
            raise Invalid("cross_site", "a session does not count for what another site sends")
        known = self._keeper.recall(found[0])
        if known is not None:
            return Presented(SESSION, self._allowed(known))
        if not cookies.is_value(found[0]):
            raise Invalid("session_ended", "the session's cookie is not one")
        return Presented(SESSION, None, found[0])

    def verify(self, presented: Presented, _ask: Ask, done: Callable[[Answer], None]) -> Identity | None:
        def looked(found: Found) -> None:
            answer: Answer
            try:
                answer = self._allowed(found) if isinstance(found, Known) else found
            except Invalid as error:
                answer = error
            done(answer)

        self._keeper.look(presented.secret, looked)
        return None

    def _allowed(self, known: Known) -> Identity:
        if known.provider not in self._providers:
            raise Invalid("sign_in_elsewhere", "the session is of a provider that is not accepted here")
        return known.identity


class Door:
    """What the passport asks: see `identity.verifier.SignOn`."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def verifier(self, providers: tuple[str, ...]) -> SignInVerifier:
        return SignInVerifier(self._keeper, providers)

    def step_up(self, ask: Browsed, identity: Identity, error: StepUpNeeded) -> SignInNeeded | None:
        """Where a person who is signed in can sign in better; None: none is, or no person asks."""
        provider = next((proof.partition(":")[2] for proof in identity.proof if proof.startswith("sign_in:")), None)
        if provider is None:
            return None
        asked = {"provider": provider}
        if error.acr:
            asked["acr"] = " ".join(error.acr)
        if error.max_age is not None:
            asked["max_age"] = str(int(error.max_age))
        return _sent(ask, asked)

    def way_in(self, ask: Ask) -> SignInNeeded | None:
        """Where a person can sign in for what was asked; None: no person asks."""
        return _sent(ask, {})


def _sent(ask: Browsed, better: dict[str, str]) -> SignInNeeded | None:
    place = way_in(ask, better)
    return None if place is None else SignInNeeded(place, see_other=ask.method not in SAFE_METHODS)
