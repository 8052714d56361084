"""`certificate:` of an identity: who issues the certificates of clients, and what in them names a client."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import model_validator

from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block
from gateway.config.blocks.scalar import Scalar, matching, one_of
from gateway.config.problems import Complaint
from gateway.model import NamedBy

_DOMAIN = "[a-z0-9._-]{1,255}"


def _spiffe(text: str) -> str | None:
    if text in ("true", "false"):
        return "" if text == "true" else None
    domain: str = matching(_DOMAIN)(text)
    return domain


SpiffeDomain = Annotated[
    str | None,
    Scalar(
        "a trust domain such as prod.example.com, or true for any",
        _spiffe,
        {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": f"^{_DOMAIN}$"}]},
    ),
]


class ClientCertificates(Block):
    ca: of.FilePath
    """The certificates of those who issue them, intermediate ones too."""
    application: Annotated[NamedBy, one_of(NamedBy, (), NamedBy)] | None = None
    """What of a certificate names the client; san_uri if left out with spiffe."""
    crl: of.FilePath | None = None
    """Their lists of what they took back."""
    spiffe: SpiffeDomain = None
    """Whether they must be SPIFFE's X.509-SVIDs, and of which trust domain."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.spiffe is None and self.application is None:
            raise Complaint(f"needs application: what names the client ({' '.join(NamedBy)})")
        if self.spiffe is not None and self.application not in (None, NamedBy.SAN_URI):
            text = "is not what names the client with spiffe (san_uri)"
            raise Complaint(text, shown=self.application, at=("application",))
        return self
