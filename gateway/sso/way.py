"""One provider that people sign in with, whatever it speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.identity.claims import LEEWAY
from gateway.sso.refusals import BadSignOn
from gateway.sso.session import Session, SignedIn


class SessionEnded(Exception):
    """The provider says that its session has ended, or there is none here."""


class Better(NamedTuple):
    """How people are to sign in again: in one of the ways `acr`, and within `max_age` seconds (RFC 9470)."""

    acr: tuple[str, ...] = ()
    max_age: int | None = None

    def __bool__(self) -> bool:
        return bool(self.acr) or self.max_age is not None

    def kept(self) -> dict[str, str]:
        """As it is remembered with a sign-on under way, by OpenID Connect's names (Core 3.1.2.1)."""
        acr = {"acr_values": " ".join(self.acr)} if self.acr else {}
        return acr if self.max_age is None else acr | {"max_age": str(self.max_age)}

    @staticmethod
    def of(kept: Mapping[str, str]) -> Better:
        """What `kept` was of."""
        age = kept.get("max_age")
        return Better(tuple(kept.get("acr_values", "").split()), None if age is None else int(age))

    def check(self, who: SignedIn, target: str, now: float) -> None:
        """The provider has done it (Core 3.1.3.7, 12 and 13), as exactly as the gate will look at it: else the person
        would be sent round and round. Raises BadSignOn."""
        when = who.claims.get("auth_time")
        lately = isinstance(when, int | float) and -LEEWAY <= now - when <= (self.max_age or 0)
        if (self.max_age is not None and not lately) or (self.acr and who.claims.get("acr") not in self.acr):
            text = "The provider has not let you sign in as well as this page asks for."
            raise BadSignOn("sign_in_too_weak", text, status=403, target=target)


NOT_BETTER = Better()


class Way(Protocol):
    """OIDC and SAML are ways. `title` is what people know the provider by."""

    name: str
    title: str

    @property
    def origins(self) -> Sequence[str]:
        """SCHEME://HOST[:PORT] of the provider's pages that forms may lead to."""

    @property
    def logs_out(self) -> bool:
        """Whether `leave` may lead to the provider, as far as is known now."""

    def routes(self) -> list[Route]:
        """What is served below the path of the way: /.sso/NAME."""

    async def begin(self, request: Request, target: str, better: Better = NOT_BETTER) -> Response:
        """Leaves for the provider, which is asked to sign in `better`, with a sign-on under way that ends at `target`.
        Raises BadSignOn or Unavailable."""

    async def renew(self, session: Session) -> SignedIn:
        """What holds now. Raises SessionEnded or Unavailable."""

    async def leave(self, session: Session, origin: str) -> Response | None:
        """Ends the provider's session too, by way of the browser; None: it cannot be. The session here has ended."""

    async def close(self) -> None:
        """Nobody comes this way any more."""
