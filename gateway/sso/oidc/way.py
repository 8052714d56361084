"""OIDC as a way to sign in: out with a request that only this browser can finish, back with a code, once."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.errors import Unavailable
from gateway.identity.provider import Provider
from gateway.identity.refusals import InvalidToken
from gateway.model import Oidc, SignIn
from gateway.sso import cookies
from gateway.sso.browser import PREFIX
from gateway.sso.desk import Desk
from gateway.sso.forms import parameters
from gateway.sso.logins import Login
from gateway.sso.oidc.client import Client, Refused
from gateway.sso.oidc.logout import LogoutPages
from gateway.sso.oidc.metadata import RETRY_AFTER
from gateway.sso.oidc.tokens import BadTokens, Reader
from gateway.sso.refusals import BadSignOn
from gateway.sso.session import Session, SignedIn
from gateway.sso.way import NOT_BETTER, Better, SessionEnded

REFUSED = ("access_denied", "login_required", "interaction_required", "consent_required", "account_selection_required")
PASSING = ("temporarily_unavailable", "server_error")


class OidcWay:
    """See Way."""

    def __init__(
        self, oidc: Oidc, sign_in: SignIn, provider: Provider, desk: Desk, clock: Callable[[], float] = time.time
    ) -> None:
        self.name = oidc.name
        self.title = sign_in.title or oidc.name
        self._issuer = oidc.issuer
        self._scope = " ".join(dict.fromkeys(("openid", *sign_in.scopes)))
        self._client = Client(oidc.name, provider.channel, sign_in)
        self._reader = Reader(provider, sign_in.client_id, clock)
        self._desk = desk
        self._clock = clock
        self._logout = LogoutPages(oidc, sign_in.client_id, provider, desk, clock)

    @property
    def origins(self) -> Sequence[str]:
        return (self._desk.origin_of(self._issuer),)

    @property
    def logs_out(self) -> bool:
        latest = self._client.announced.latest
        return latest is not None and latest.end_session is not None

    def routes(self) -> list[Route]:
        return [Route("/callback", self._callback), *self._logout.routes()]

    # --- the way out

    async def begin(self, request: Request, target: str, better: Better = NOT_BETTER) -> Response:
        metadata = await self._client.announced.get()
        secrets = {"nonce": cookies.new_value(), "verifier": cookies.new_value()}
        more = better.kept()
        login, cookie = await self._desk.logins.begin(request, self.name, target, secrets | more)
        asked = self._request(login) | more
        if metadata.pushed is not None:
            try:
                asked = {"client_id": self._client.id, "request_uri": await self._client.push(metadata.pushed, asked)}
            except Refused as error:
                raise _misconfigured(error, target) from error
        joint = "&" if "?" in metadata.authorization else "?"
        return RedirectResponse(f"{metadata.authorization}{joint}{urlencode(asked)}", 303, {"set-cookie": cookie})

    def _request(self, login: Login) -> dict[str, str]:
        """RFC 6749 4.1.1, RFC 7636 4.3, OpenID Connect Core 3.1.2.1."""
        challenge = urlsafe_b64encode(sha256(login.secrets["verifier"].encode()).digest()).rstrip(b"=").decode()
        return {
            "response_type": "code",
            "client_id": self._client.id,
            "redirect_uri": self._redirect_uri(login.origin),
            "scope": self._scope,
            "state": login.state,
            "nonce": login.secrets["nonce"],
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }

    def _redirect_uri(self, origin: str) -> str:
        """Each provider has its own, so that none can be taken for another (RFC 9700 4.4.2)."""
        return f"{origin}{PREFIX}/{self.name}/callback"

    # --- the way back

    async def _callback(self, request: Request) -> Response:
        answer = parameters(request.url.query)
        if "state" not in answer:
            raise BadSignOn("request_malformed", "The answer of the provider names no sign-in.")
        login = await self._desk.logins.finish(request, self.name, answer["state"])
        await self._check_issuer(answer, login)
        if "error" in answer:
            raise _refused(answer["error"], login)
        if "code" not in answer:
            raise BadSignOn("request_malformed", "The answer of the provider has no code.", target=login.target)
        who = await self._exchange(answer["code"], login)
        Better.of(login.secrets).check(who, login.target, self._clock())
        return await self._desk.enter(request, login, who)

    async def _check_issuer(self, answer: dict[str, str], login: Login) -> None:
        """RFC 9207 2.4."""
        issuer = answer.get("iss")
        if issuer is None and not (await self._client.announced.get()).names_itself:
            return
        if issuer != self._issuer:
            raise BadSignOn("sign_in_mixed_up", "The answer is from another provider.", target=login.target)

    async def _exchange(self, code: str, login: Login) -> SignedIn:
        try:
            answer = await self._client.exchange(code, self._redirect_uri(login.origin), login.secrets["verifier"])
            return await self._reader.read(answer, nonce=login.secrets["nonce"], code=code)
        except Refused as error:
            if error.ours:
                raise _misconfigured(error, login.target) from error
            raise BadSignOn("sign_in_failed", "The provider does not take the code.", target=login.target) from error
        except (InvalidToken, BadTokens) as error:
            text = "What the provider sends cannot be verified."
            raise BadSignOn("provider_wrong", text, status=502, target=login.target, hint=str(error)) from error

    # --- later

    async def renew(self, session: Session) -> SignedIn:
        refresh_token = session.who.private.get("refresh_token")
        if refresh_token is None:
            raise SessionEnded
        try:
            answer = await self._client.refresh(refresh_token)
            return await self._reader.read_again(answer, session.who)
        except Refused as error:
            if error.error == "invalid_grant":  # expired, revoked, or the session has ended there
                raise SessionEnded from error
            text = "the sign-in provider does not accept the gateway"
            raise Unavailable(text, code="provider_wrong", retry_after=RETRY_AFTER) from error
        except (InvalidToken, BadTokens) as error:
            raise SessionEnded from error

    async def leave(self, session: Session, origin: str) -> Response | None:
        """RP-Initiated Logout 1.0, 2."""
        metadata = await self._client.announced.get()
        if metadata.end_session is None:
            return None
        query = {
            "id_token_hint": session.who.private["id_token"],
            "client_id": self._client.id,
            "post_logout_redirect_uri": f"{origin}{PREFIX}/signed-out",
        }
        joint = "&" if "?" in metadata.end_session else "?"
        return RedirectResponse(f"{metadata.end_session}{joint}{urlencode(query)}", 303)

    async def close(self) -> None:
        """The provider's channel is the passport's, which closes it."""


def _refused(error: str, login: Login) -> BadSignOn:
    """The provider's error, of which only known words are told (RFC 6749 4.1.2.1)."""
    if error in REFUSED:
        return BadSignOn("sign_in_refused", "The provider has not let you in.", status=403, target=login.target)
    if error in PASSING:
        return BadSignOn("provider_away", "The provider has no time for this now.", status=503, target=login.target)
    text = "The provider could not do what it was asked."
    return BadSignOn("sign_in_failed", text, target=login.target, hint=f"the provider says {error[:100]!r}")


def _misconfigured(error: Refused, target: str) -> BadSignOn:
    text = "The provider does not accept this gateway as it is configured."
    return BadSignOn("provider_wrong", text, status=502, target=target, hint=error.error)
