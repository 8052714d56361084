"""The two sides: the identity provider as its metadata has it, and the gateway as service provider."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityProvider:
    """What the provider's metadata says. `logout_*` are None where it has no such endpoint.

    `answers_*` are where answers to the provider's own requests go (ResponseLocation), else the same.
    """

    entity_id: str
    certificates: tuple[x509.Certificate, ...]  # any of them may sign: at a roll-over there are two
    sign_on: str  # HTTP redirect binding
    logout_redirect: str | None = None
    logout_post: str | None = None
    answers_redirect: str | None = None
    answers_post: str | None = None
    wants_signed_requests: bool = False
    valid_until: float | None = None  # Unix seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """The gateway's key and its certificate."""

    key: RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProvider:
    """The gateway as the provider knows it. The first of `pairs` signs, any decrypts; none: nothing is signed."""

    entity_id: str
    pairs: tuple[KeyPair, ...] = ()

    @property
    def keys(self) -> tuple[RSAPrivateKey, ...]:
        return tuple(pair.key for pair in self.pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the gateway is found under one origin, as `https://api.example.com`."""

    metadata: str
    acs: str  # assertion consumer service, POST binding
    logout: str  # single logout service, both bindings


@dataclass(frozen=True, slots=True, kw_only=True)
class NameId:
    """How the provider names a user (core 2.2.3); all four parts come back in a logout."""

    value: str
    format: str | None = None
    qualifier: str | None = None
    sp_qualifier: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOn:
    """What an accepted response proves. Times in Unix seconds."""

    assertion_id: str
    issued: float
    issuer: str
    name_id: NameId
    session_index: str | None
    authenticated: float
    context: str | None  # AuthnContextClassRef
    session_ends: float | None  # SessionNotOnOrAfter
    usable_until: float  # after which nobody can use the assertion again
    in_response_to: str | None
    attributes: dict[str, tuple[str, ...]]  # by Name
    friendly: dict[str, tuple[str, ...]]  # by FriendlyName

    def values(self, attribute: str) -> tuple[str, ...]:
        """Of an attribute by its Name, else by its FriendlyName; none of one that is not there."""
        return self.attributes.get(attribute) or self.friendly.get(attribute, ())
