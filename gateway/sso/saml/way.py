"""SAML as a way to sign in: out with a request that only this browser can finish, back with a response, once.

The provider has the browser post its response from a page of its own, without the cookie of the sign-on (SameSite=Lax).
So what the response proves is kept for a minute under a name that nobody guesses, and the browser is sent on to ask for
it: that is a navigation, which brings the cookie.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.model import Saml
from gateway.sso import cookies
from gateway.sso.browser import PREFIX, is_safe, target_of
from gateway.sso.desk import Desk
from gateway.sso.forms import parameters
from gateway.sso.logins import Login
from gateway.sso.refusals import BadSignOn
from gateway.sso.saml import times, writing
from gateway.sso.saml.bindings import from_form, redirect
from gateway.sso.saml.claims import signed_in
from gateway.sso.saml.conditions import Expected
from gateway.sso.saml.entities import Endpoints, IdentityProvider, SignedOn
from gateway.sso.saml.files import service_provider
from gateway.sso.saml.logout_pages import LogoutPages, address, bad
from gateway.sso.saml.metadata import write_metadata
from gateway.sso.saml.metadata_file import MetadataFile
from gateway.sso.saml.reader import Reader
from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.saml.response import accept
from gateway.sso.saml.tickets import Ticket, Tickets
from gateway.sso.session import Session, SignedIn
from gateway.sso.way import NOT_BETTER, Better, SessionEnded
from gateway.store.records import Use

KIND = "saml_assertion"  # of records: assertions that were used


class SamlWay:
    """See Way. `clock` in Unix seconds."""

    def __init__(self, saml: Saml, desk: Desk, clock: Callable[[], float] = time.time) -> None:
        """Raises OSError, ValueError or MetadataRefused for files that cannot be used."""
        self.name = saml.name
        self.title = saml.title
        self._saml = saml
        self._sp = service_provider(saml)
        self._metadata = MetadataFile(saml.name, saml.metadata, clock)
        self._desk = desk
        self._tickets = Tickets(saml.name, desk.records)
        self._reader = Reader()
        self._clock = clock
        self._logout = LogoutPages(saml, self._sp, self._metadata, self._reader, desk, clock)

    @property
    def origins(self) -> Sequence[str]:
        provider = self._metadata.provider
        found = (provider.sign_on, provider.logout_redirect, provider.logout_post, provider.answers_post)
        return tuple(dict.fromkeys(self._desk.origin_of(url) for url in found if url is not None))

    @property
    def logs_out(self) -> bool:
        return self._logout.possible

    def routes(self) -> list[Route]:
        return [
            Route("/metadata", self._own_metadata),
            Route("/acs", self._consume, methods=["POST"]),
            Route("/finish", self._finish),
            *self._logout.routes(),
        ]

    async def close(self) -> None:
        self._reader.close()

    async def renew(self, session: Session) -> SignedIn:
        """SAML has no renewal: a session lasts as long as the provider said, or the gateway's rules."""
        raise SessionEnded

    async def leave(self, session: Session, origin: str) -> Response | None:
        return await self._logout.leave(session, origin)

    async def _own_metadata(self, request: Request) -> Response:
        octets = write_metadata(self._sp, [endpoints(self.name, request.state.origin)])
        return Response(octets, media_type="application/samlmetadata+xml")

    # --- the way out

    async def begin(self, request: Request, target: str, better: Better = NOT_BETTER) -> Response:
        """Another way of signing in is a class of authentication context, a later one is ForceAuthn."""
        provider = await self._metadata.latest()
        login, cookie = await self._desk.logins.begin(request, self.name, target, self._asked(better))
        location = await self._reader.run(partial(self._request, provider, login))
        return RedirectResponse(location, 303, {"set-cookie": cookie})

    def _asked(self, better: Better) -> dict[str, str]:
        """What is remembered of a request: `anew` is since when people must have proven themselves."""
        return better.kept() | ({"anew": str(self._clock())} if self._saml.force_authn else {})

    def _request(self, provider: IdentityProvider, login: Login) -> str:
        better = Better.of(login.secrets)
        where = endpoints(self.name, login.origin)
        root = writing.authn_request(
            self._sp.entity_id,
            provider.sign_on,
            where.acs,
            self._clock(),
            name_id_format=self._saml.name_id_format,
            force=self._saml.force_authn or better.max_age is not None,
            contexts=better.acr,
        )
        root.set("ID", request_id(login.state))
        pair = self._sp.pairs[0] if self._sp.pairs else None
        return redirect(provider.sign_on, "SAMLRequest", writing.octets(root), login.state, pair)

    # --- the way back

    async def _consume(self, request: Request) -> Response:
        """The assertion consumer service."""
        provider = await self._metadata.latest()
        body, where = await request.body(), endpoints(self.name, request.state.origin)
        try:
            state, on = await self._reader.run(partial(self._read, provider, body, where))
            who = signed_in(self._saml, on)
            await self._use(on)
        except SamlRefused as error:
            raise bad(error) from error
        if on.in_response_to is None:
            return await self._enter_unasked(request, state, on, who)
        ticket = await self._tickets.keep(Ticket(state or "", who))
        return RedirectResponse(f"{PREFIX}/{self.name}/finish?ticket={ticket}", 303)

    def _read(self, provider: IdentityProvider, body: bytes, where: Endpoints) -> tuple[str | None, SignedOn]:
        """RelayState, and what the response proves."""
        sent = from_form(body, "SAMLResponse")
        asked = sent.relay_state is not None and cookies.is_value(sent.relay_state)
        if not asked and not self._saml.unsolicited:
            raise SamlRefused("response_unsolicited", "the provider answers a sign-in that was not begun here")
        request = request_id(sent.relay_state or "") if asked else None
        expected = Expected(self._sp.entity_id, where.acs, request)
        return sent.relay_state, accept(sent.xml, provider, self._sp.keys, expected, self._clock())

    async def _use(self, on: SignedOn) -> None:
        """Once only: the same assertion is refused as long as it could be used. Where the store may have forgotten, the
        sign-on that a response answers is forgotten too; a response that answers none could be an old one.
        """
        name = f"{self.name} {on.assertion_id}"
        life = max(1.0, on.usable_until - self._clock())
        used = await self._desk.records.once(KIND, name, life, made=on.issued - times.SKEW)
        if used is Use.AGAIN:
            raise SamlRefused("replayed", "the assertion was used before")
        if used is Use.UNKNOWN and on.in_response_to is None:
            raise SamlRefused("replayed", "nobody knows any more whether the assertion was used before")

    async def _enter_unasked(self, request: Request, state: str | None, on: SignedOn, who: SignedIn) -> Response:
        """A sign-in that began at the provider. RelayState may say where to."""
        origin = request.state.origin
        if self._saml.force_authn and on.issued - on.authenticated > times.SKEW:
            raise _not_anew(target_of(state))
        if not is_safe(origin):
            raise BadSignOn("https_required", "People can sign in by https only.")
        login = Login(state=cookies.new_value(), provider=self.name, target=target_of(state), origin=origin)
        await self._logout.note(who.sid)
        return await self._desk.enter(request, login, who)

    async def _finish(self, request: Request) -> Response:
        ticket = await self._tickets.take(parameters(request.url.query).get("ticket", ""))
        login = await self._desk.logins.finish(request, self.name, ticket.state)
        self._check_strength(ticket.who, login)
        await self._logout.note(ticket.who.sid)
        return await self._desk.enter(request, login, ticket.who)

    def _check_strength(self, who: SignedIn, login: Login) -> None:
        """Raises BadSignOn where the provider has not done what it was asked for beyond signing in."""
        Better.of(login.secrets).check(who, login.target, self._clock())
        anew = login.secrets.get("anew")
        if anew is not None and who.claims["auth_time"] < float(anew) - times.SKEW:
            raise _not_anew(login.target)


def _not_anew(target: str) -> BadSignOn:
    text = "The provider has not asked you to prove who you are again, as it should have."
    return BadSignOn("sign_in_too_weak", text, status=403, target=target)


def endpoints(name: str, origin: str) -> Endpoints:
    """Where the gateway is found under an origin; each provider has its own."""
    base = f"{origin}{PREFIX}/{name}"
    return Endpoints(metadata=f"{base}/metadata", acs=f"{base}/acs", logout=address(name, origin))


def request_id(state: str) -> str:
    """The ID of the request that goes out with a RelayState: who has the answer and RelayState needs nothing else to
    know what it must answer.
    """
    return "_" + sha256(f"saml request {state}".encode()).hexdigest()
