"""Single logout: the provider ends sessions here, and people who sign out here are signed out there (profiles 4.4)."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.model import Saml
from gateway.sso import cookies
from gateway.sso.browser import PREFIX
from gateway.sso.desk import Desk, log
from gateway.sso.refusals import BadSignOn
from gateway.sso.saml import times, writing
from gateway.sso.saml.bindings import Sent, form_fields, from_form, from_query, redirect
from gateway.sso.saml.claims import name_id_of, owner_of, sid_of
from gateway.sso.saml.entities import IdentityProvider, ServiceProvider
from gateway.sso.saml.logout import LogoutRequest, read_request, read_response
from gateway.sso.saml.metadata_file import MetadataFile
from gateway.sso.saml.reader import Reader
from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.saml.xml import Element
from gateway.sso.session import Session
from gateway.store.records import Use

KIND = "saml_logout"  # of records: requests that were heeded
USER = "saml_user"  # of records: an index of the sessions of a user's name at the provider
LIFE = 24 * 3600.0  # seconds; no session here lasts longer


class LogoutPages:
    """Of one provider. `clock` in Unix seconds."""

    def __init__(
        self,
        saml: Saml,
        sp: ServiceProvider,
        metadata: MetadataFile,
        reader: Reader,
        desk: Desk,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name, self._title = saml.name, saml.title
        self._sp = sp
        self._metadata = metadata
        self._reader = reader
        self._desk = desk
        self._clock = clock

    def routes(self) -> list[Route]:
        return [Route("/slo", self._heard, methods=["GET", "POST"])]

    @property
    def possible(self) -> bool:
        """Both sides sign what they say, so it takes a key."""
        provider = self._metadata.provider
        return bool(self._sp.pairs and (provider.logout_redirect or provider.logout_post))

    async def note(self, sid: str | None) -> None:
        """A session begins; the provider may end all of its user's without naming them."""
        owner, _, _ = (sid or "").partition(":")
        await self._desk.records.index(USER, f"{self._name} {owner}", sid or "", LIFE)

    # --- people sign out here

    async def leave(self, session: Session, origin: str) -> Response | None:
        """The browser takes the request to the provider; None: it cannot be done."""
        if not self.possible:
            return None
        provider = await self._metadata.latest()
        return await self._reader.run(partial(self._request, provider, session, origin))

    def _request(self, provider: IdentityProvider, session: Session, origin: str) -> Response:
        to = provider.logout_redirect or provider.logout_post or ""
        private = session.who.private
        name_id, index = name_id_of(private["name_id"]), private["session_index"]
        root = writing.logout_request(self._sp.entity_id, to, name_id, index, self._clock())
        state = cookies.new_value()
        root.set("ID", logout_id(state))
        return self._sent("SAMLRequest", root, to, state, by_redirect=provider.logout_redirect is not None)

    def _sent(self, kind: str, root: Element, to: str, state: str | None, *, by_redirect: bool) -> Response:
        """Of a provider that takes messages in forms alone, a person presses the button: pages here run no script."""
        (pair, *_) = self._sp.pairs
        if by_redirect:
            return RedirectResponse(redirect(to, kind, writing.octets(root), state, pair), 303)
        fields = form_fields(kind, writing.octets(writing.signed(root, pair)), state)
        answers = kind == "SAMLResponse"
        return self._desk.look.page("pass-on", action=to, fields=fields, provider=self._title, answers=answers)

    # --- the provider speaks

    async def _heard(self, request: Request) -> Response:
        try:
            provider = await self._metadata.latest()
            sent = await self._message(request)
            if sent.kind == "SAMLResponse":
                return await self._answered(request, sent, provider)
            return await self._asked(request, sent, provider)
        except SamlRefused as error:
            raise bad(error) from error

    async def _message(self, request: Request) -> Sent:
        kinds = ("SAMLRequest", "SAMLResponse")
        if request.method == "POST":
            body = await request.body()
            return await self._reader.run(lambda: from_form(body, *kinds))
        query = request.scope["query_string"]
        return await self._reader.run(lambda: from_query(query, *kinds))

    async def _answered(self, request: Request, sent: Sent, provider: IdentityProvider) -> Response:
        """The session here ended before the request went out; what is told now is how it went there."""
        wanted = logout_id(sent.relay_state or "")
        here = address(self._name, request.state.origin)
        await self._reader.run(partial(read_response, sent, provider, here, wanted, self._clock()))
        return RedirectResponse(f"{PREFIX}/signed-out", 303)

    async def _asked(self, request: Request, sent: Sent, provider: IdentityProvider) -> Response:
        here = address(self._name, request.state.origin)
        asked = await self._reader.run(partial(read_request, sent, provider, here, self._clock()))
        ended = await self._end(asked)
        log.info("identity %s: logout: %d sessions ended", self._name, ended, extra={"provider": self._name})
        to = provider.answers_redirect or provider.answers_post
        if to is None or not self._sp.pairs:
            return RedirectResponse(f"{PREFIX}/signed-out", 303)
        root = writing.logout_response(self._sp.entity_id, to, asked.id, self._clock())
        by_redirect = provider.answers_redirect is not None
        return await self._reader.run(
            lambda: self._sent("SAMLResponse", root, to, sent.relay_state, by_redirect=by_redirect)
        )

    async def _end(self, asked: LogoutRequest) -> int:
        """Once for each request. Where the store may have forgotten that, it holds: it can only end sessions."""
        life = max(1.0, asked.usable_until - self._clock())
        name = f"{self._name} {asked.id}"
        if await self._desk.records.once(KIND, name, life, made=asked.issued - times.SKEW) is Use.AGAIN:
            raise SamlRefused("replayed", "the request was used before")
        if asked.sessions:
            sids = [sid_of(asked.name_id, index) for index in asked.sessions]
        else:
            sids = await self._desk.records.listed(USER, f"{self._name} {owner_of(asked.name_id)}")
        return sum([await self._desk.end(self._name, sid=sid) for sid in sids])


def address(name: str, origin: str) -> str:
    """Of the single logout service, for both bindings."""
    return f"{origin}{PREFIX}/{name}/slo"


def logout_id(state: str) -> str:
    """The ID of the request that goes out with a RelayState: nothing has to be remembered of it."""
    return "_" + sha256(f"saml logout {state}".encode()).hexdigest()


def bad(error: SamlRefused) -> BadSignOn:
    """As people are told; what was wrong in detail is for the log."""
    detail = error.detail[0].upper() + error.detail[1:] + "."
    status = 403 if error.code == "status_refused" else 400
    return BadSignOn(f"saml_{error.code}", detail, status=status, hint=error.hint or error.code)
