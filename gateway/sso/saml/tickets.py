"""What a response proved, from its arrival to the browser's next request: a minute, once, sealed."""

from __future__ import annotations

from dataclasses import asdict
from typing import NamedTuple

from gateway.sso import cookies
from gateway.sso.refusals import BadSignOn
from gateway.sso.sealing import seal, unseal
from gateway.sso.session import SignedIn
from gateway.store.records import Records

KIND = "saml_ticket"
LIFE = 60.0  # seconds


class Ticket(NamedTuple):
    """`state` is the sign-on's, which the browser must have begun."""

    state: str
    who: SignedIn


class Tickets:
    """Of one provider. The store knows them by a digest, and cannot read them. Methods raise StoreError."""

    def __init__(self, provider: str, records: Records) -> None:
        self._provider = provider
        self._records = records

    async def keep(self, ticket: Ticket) -> str:
        """Its name."""
        secret = cookies.new_value()
        name = cookies.digest(secret)
        content = {"provider": self._provider, "state": ticket.state, "who": asdict(ticket.who)}
        await self._records.put(KIND, name, seal(secret, name.encode(), content), LIFE, only_new=True)
        return secret

    async def take(self, secret: str) -> Ticket:
        """Raises BadSignOn where there is none of this name any more."""
        name = cookies.digest(secret)
        sealed = await self._records.take(KIND, name)
        content = None if sealed is None else unseal(secret, name.encode(), sealed)
        if content is None or content["provider"] != self._provider:
            raise BadSignOn("sign_in_over", "This sign-in was used already, or took too long.")
        who = content["who"]
        for listed in ("roles", "groups", "scopes"):
            who[listed] = tuple(who[listed])
        return Ticket(content["state"], SignedIn(**who))
