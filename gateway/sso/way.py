"""One provider that people sign in with, whatever it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sso.session import Session, SignedIn


class SessionEnded(Exception):
    """The provider says that its session has ended, or there is none here."""


class Better(NamedTuple):
    """How people are to sign in again: in one of the ways `acr`, and within `max_age` seconds (RFC 9470)."""

    acr: tuple[str, ...] = ()
    max_age: int | None = None

    def __bool__(self) -> bool:
        return bool(self.acr) or self.max_age is not None


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

    @property
    def steps_up(self) -> bool:
        """Whether `begin` can ask for another way of signing in, or for doing it again."""

    def routes(self) -> list[Route]:
        """What is served below the path of the way: /.sso/NAME."""

    async def begin(self, request: Request, target: str, better: Better = NOT_BETTER) -> Response:
        """Leaves for the provider, with a sign-on under way that ends at `target`. Raises BadSignOn or Unavailable."""

    async def renew(self, session: Session) -> SignedIn:
        """What holds now. Raises SessionEnded or Unavailable."""

    async def leave(self, session: Session, origin: str) -> Response | None:
        """Ends the provider's session too, by way of the browser; None: it cannot be. The session here has ended."""
