"""Clients' certificates as credentials: verified once, then recognised by their bytes until they end."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from cryptography import x509

from gateway.errors import Unavailable
from gateway.identity.cache import Entry, TokenCache
from gateway.identity.certificate_names import names_of
from gateway.identity.credentials import Ask
from gateway.identity.floods import Floods
from gateway.identity.refusals import Invalid
from gateway.identity.revocations import KEY, RETRY_AFTER, Marks
from gateway.identity.trust import LARGEST, UNREADABLE, Trust
from gateway.identity.verifier import Answer, Item, Presented
from gateway.model import Application, ClientCertificates, Identity

REMEMBERED = 10_000  # certificates; one is about 2 KB
AGAIN = 300.0  # seconds until one is verified anew: an issuer's own certificate, and its list, end too


class Issuer:
    """The certificates of one `identity`, and whose they are."""

    def __init__(
        self,
        settings: ClientCertificates,
        applications: Iterable[Application],
        *,
        marks: Marks,
        clock: Callable[[], float],
        log: logging.Logger,
    ) -> None:
        """`marks` tell what operators revoked. Raises OSError and ValueError for unusable files."""
        self.name = settings.name
        self._settings = settings
        self._clock = clock
        self._trust = Trust(settings, clock, log)
        self._owners = Owners(settings.name, applications)
        self._marks = marks
        self._known = TokenCache(REMEMBERED)
        self._seen = (0, marks.version)

    def recall(self, certificate: bytes) -> Identity | None:
        """Who a certificate (DER) is known to prove."""
        self._trust.refresh()
        seen = self._trust.generation, self._marks.version
        if self._seen != seen:  # files or marks have changed, so all are verified anew
            self._seen = seen
            self._known = TokenCache(REMEMBERED)
        return self._known.get(certificate, self._clock())

    def verify(self, certificate: bytes) -> Identity:
        """Who it proves; raises Invalid or Unavailable."""
        if len(certificate) > LARGEST:
            raise Invalid("certificate_untrusted", "the client's certificate is too large")
        try:
            parsed = x509.load_der_x509_certificate(certificate)
        except UNREADABLE:
            raise Invalid("certificate_untrusted", "the client's certificate cannot be read") from None
        self._trust.check(parsed)
        ends = self._ends(certificate)
        names = names_of(parsed, self._settings)
        identity = Identity(
            subject=f"certificate:{names[0]}",
            application=self._owners.of(names),
            proof=(f"certificate:{self.name}",),
            expires=parsed.not_valid_after_utc.timestamp(),
        )
        now = self._clock()
        self._known.put(certificate, Entry(identity, min(identity.expires, ends, now + AGAIN), ()), now)
        return identity

    def _ends(self, certificate: bytes) -> float:
        """Until when operators let it serve, by its fingerprint. Raises Invalid and Unavailable."""
        mark = self._marks.get(KEY, "sha256:" + sha256(certificate).hexdigest())
        ends = float("inf") if mark is None else float(mark.value or 0)
        if self._clock() >= ends:
            raise Invalid("certificate_revoked", "the client's certificate was revoked")
        if not self._marks.known:
            raise Unavailable("what was revoked is not known yet", code="identity_unavailable", retry_after=RETRY_AFTER)
        return ends


class Owners:
    """Which application a certificate's name belongs to: by the whole name, else by the first pattern that fits."""

    def __init__(self, issuer: str, applications: Iterable[Application]) -> None:
        named = [(name, app.name) for app in applications for name in app.certificates.get(issuer, ())]
        self._names = {name: owner for name, owner in named if "*" not in name}
        self._patterns = [(_pattern(name), owner) for name, owner in named if "*" in name]

    def of(self, names: Sequence[str]) -> str | None:
        """None: nobody's. Raises Invalid where they belong to several."""
        owners = {owner for name in names if (owner := self._owner(name)) is not None}
        if len(owners) > 1:
            raise Invalid("credentials_differ", "the certificate names different applications")
        return next(iter(owners), None)

    def _owner(self, name: str) -> str | None:
        found = self._names.get(name)
        if found is not None:
            return found
        return next((owner for pattern, owner in self._patterns if pattern.fullmatch(name)), None)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)


class CertificateVerifier:
    """The certificate of a connection, at one service."""

    def __init__(self, issuers: Sequence[Issuer], floods: Floods) -> None:
        self._issuers = [(issuer, Item("certificate", issuer.name)) for issuer in issuers]
        self._floods = floods

    def present(self, ask: Ask) -> Presented | None:
        certificate = ask.certificate
        if certificate is None:
            return None
        for issuer, item in self._issuers:
            identity = issuer.recall(certificate)
            if identity is not None:
                return Presented(item, identity)
        self._floods.check(ask.peer)
        return self._verified(certificate)

    def verify(self, presented: Presented, _ask: Ask, _done: Callable[[Answer], None]) -> Identity | None:
        return presented.identity

    def _verified(self, certificate: bytes) -> Presented:
        """By the first issuer that vouches for it."""
        untrusted: Invalid | None = None
        for issuer, item in self._issuers:
            try:
                return Presented(item, issuer.verify(certificate))
            except Invalid as error:
                if error.code != "certificate_untrusted":
                    raise
                untrusted = untrusted or error
        assert untrusted is not None
        raise untrusted
