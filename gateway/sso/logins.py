"""Sign-ons under way: what is remembered from the way out to the way back, once, for the browser that began it."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from gateway.sso import cookies
from gateway.sso.browser import is_safe
from gateway.sso.refusals import BadSignOn
from gateway.sso.sealing import Unsealed, seal, unseal
from gateway.store.records import Records

KIND = "login"
LIFE = 600  # seconds that people may take for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """`secrets` are the way's: a nonce, a verifier, the id of a request."""

    state: str = field(repr=False)
    provider: str
    target: str
    origin: str
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


class Logins:
    """They are sealed by a cookie of the browser, so nobody else can finish them, nor read them in the store."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def begin(
        self, request: Request, provider: str, target: str, secrets: Mapping[str, str]
    ) -> tuple[Login, str]:
        """A sign-on, and the Set-Cookie field that goes with it. Raises BadSignOn or StoreError."""
        origin = request.state.origin
        if not is_safe(origin):
            raise BadSignOn("https_required", "People can sign in by https only.")
        state, browser = cookies.new_value(), cookies.new_value()
        content = {"provider": provider, "target": target, "origin": origin, "secrets": dict(secrets)}
        name = cookies.digest(state)
        await self._records.put(KIND, name, seal(browser, name.encode(), content), LIFE, only_new=True)
        login = Login(state=state, provider=provider, target=target, origin=origin, secrets=secrets)
        return login, cookies.written(origin, cookies.login_name(origin, state), browser, LIFE)

    async def finish(self, request: Request, provider: str, state: str) -> Login:
        """The sign-on that this browser began with this provider, once. Raises BadSignOn or StoreError."""
        origin, name = request.state.origin, cookies.digest(state)
        browsers = cookies.read(request.state.own_cookies, cookies.login_name(origin, state))
        if len(browsers) != 1:
            raise BadSignOn("not_begun_here", "This sign-in was not begun in this browser, or too long ago.")
        sealed = await self._records.get(KIND, name)
        if sealed is None:
            raise BadSignOn("sign_in_over", "This sign-in was used already, or took too long.")
        try:
            content = unseal(browsers[0], name.encode(), sealed)
        except Unsealed:
            raise BadSignOn("not_begun_here", "This sign-in was not begun in this browser.") from None
        if content["provider"] != provider or not hmac.compare_digest(content["origin"], origin):
            raise BadSignOn("sign_in_mixed_up", "This sign-in was begun with another provider, or at another address.")
        if await self._records.take(KIND, name) is None:
            raise BadSignOn("sign_in_over", "This sign-in was used already, or took too long.")
        return Login(state=state, **content)
