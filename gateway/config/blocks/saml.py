"""`saml:`: a provider that signs people in by SAML 2.0."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block
from gateway.config.blocks.scalar import Scalar, matching, one_of
from gateway.config.problems import Complaint

_ENTITY = r"[!-~]{1,1024}"  # core 8.3.6: a URI
EntityId = Annotated[
    str, Scalar("a URI of at most 1024 characters", matching(_ENTITY), {"type": "string", "pattern": f"^{_ENTITY}$"})
]
_FORMATS = {
    "email": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "persistent": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    "transient": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
    "unspecified": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
}
NameIdFormat = Annotated[str, one_of(_FORMATS, (), _FORMATS.__getitem__)]


class KeyPair(Block):
    cert: of.FilePath
    """The certificate, PEM."""
    key: of.FilePath
    """Its key, RSA, PEM."""


class Saml(Block):
    metadata: of.FilePath
    """The provider's metadata: a file, which is read again when it changes."""
    title: of.Text | None = None
    """What people know the provider by; its name if left out."""
    entity_id: EntityId | None = None
    """What the provider knows the gateway by; urn:plangate:NAME if left out."""
    cert: of.FilePath | None = None
    """The gateway's certificate there, PEM. Without one nothing is signed or encrypted, and nobody logged out there."""
    key: of.FilePath | None = None
    """Its key, RSA, PEM."""
    previous: KeyPair | None = None
    """The pair before that one, with which the provider may still encrypt."""
    subject: of.Text | None = None
    """The attribute that names a user for good; the NameID if left out."""
    roles: of.Text | None = None
    """The attribute whose values are the user's roles."""
    groups: of.Text | None = None
    """The attribute whose values are the user's groups."""
    claims: dict[of.Name, of.Text] = Field(default_factory=dict)
    """Claims for conditions, and the attributes that they come from."""
    client_id: of.Text | None = None
    """What applications know these sign-ins by, as if it were a client; without it they `match`."""
    name_id_format: NameIdFormat | None = None
    """The form of name that is asked for; the provider's own choice if left out."""
    force_authn: of.Flag = False
    """Whether people have to prove themselves at each sign-in, even with a session at the provider."""
    unsolicited: of.Flag = False
    """Whether a sign-in may begin at the provider; then nobody knows whether its user meant it."""

    @model_validator(mode="after")
    def _whole_pair(self) -> Self:
        if (self.cert is None) != (self.key is None):
            here, other = ("cert", "key") if self.cert is not None else ("key", "cert")
            raise Complaint(f"needs {other} beside it", at=(here,))
        if self.previous is not None and self.cert is None:
            raise Complaint("needs cert and key beside it, which are used now", at=("previous",))
        return self
