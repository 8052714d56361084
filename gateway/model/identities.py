"""Who asks, and who vouches for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from gateway.model.clients import Certificate

ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """As whom a provider is asked about tokens, and about which: `opaque`, `lightweight` (without audience), `all`.
    Its word is believed for `max_age` seconds."""

    client_id: str
    client_secret: str = field(repr=False)
    tokens: tuple[str, ...]
    max_age: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """As which client the gateway itself comes to a provider."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dpop:
    """Whether a provider's tokens may be bound to keys (RFC 9449): `allowed`, `required` or `off`. Proofs are good for
    `max_age` seconds, and with `nonce` only with one that the gateway gave lately."""

    use: str = "allowed"
    algorithms: tuple[str, ...] = ASYMMETRIC
    max_age: float = 60.0
    nonce: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """How people sign in at a provider by a browser: the gateway's client there, and the scopes beside `openid`."""

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ("profile", "email")
    title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOn:
    """Sessions and pages of single sign-on. Seconds; `pages` is a folder of templates."""

    idle: float = 1800.0
    life: float = 36_000.0
    pages: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Oidc:
    """A token issuer. `algorithms` empty: the asymmetric ones that the provider publishes."""

    name: str
    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...] = ()
    internal_url: str | None = None  # for back-channel fetches, in place of the issuer's URL
    ca: Path | None = None
    sign_in: SignIn | None = None
    introspection: Introspection | None = None
    dpop: Dpop = Dpop()
    exchange: ClientCredentials | None = None  # as whom tokens are exchanged
    clients: ClientCredentials | None = None  # as whom clients are made and changed


class NamedBy(StrEnum):
    """What of a certificate names its client."""

    SAN_URI = "san_uri"
    SAN_DNS = "san_dns"
    SUBJECT_CN = "subject_cn"
    SUBJECT = "subject"  # the whole distinguished name (RFC 4514)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificates:
    """Who issues the certificates of clients. `crl` lists those that it took back. With `spiffe` a certificate must be
    an X.509-SVID, of this trust domain unless it is empty.
    """

    name: str
    ca: Path
    named_by: NamedBy
    crl: Path | None = None
    spiffe: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Saml:
    """A provider that signs people in by SAML 2.0. `subject`, `roles`, `groups` and those of `claims` are attributes.

    The first of `pairs` signs, each of them decrypts. `title` is for people.
    """

    name: str
    title: str
    metadata: Path
    entity_id: str
    pairs: tuple[Certificate, ...] = ()
    subject: str | None = None  # None: the NameID
    roles: str | None = None
    groups: str | None = None
    claims: Mapping[str, str] = field(default_factory=dict)
    client_id: str | None = None
    name_id_format: str | None = None
    force_authn: bool = False
    unsolicited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Identity:
    """Who, proven how. Shared by all requests of one credential, so compared by object."""

    subject: str
    client_id: str | None = None
    application: str | None = None  # named by an API key
    roles: frozenset[str] = frozenset()  # realm roles, and a client's as `client:role`
    groups: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    issuer: str | None = None
    expires: float = float("inf")  # Unix seconds
    claims: Mapping[str, Any] = field(default_factory=dict)
    proof: tuple[str, ...] = ()
