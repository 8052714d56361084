"""How people sign in by a browser: at one provider (`sign_in`), and whatever the provider (`sign_on`)."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block, OneOrSome
from gateway.config.blocks.scalar import Scalar, matching
from gateway.config.problems import Complaint
from gateway.model import SignOn as Rules

_RULES = Rules()
_SCOPE = Scalar("a scope (printable ASCII without spaces and quotes)", matching(r"[!#-\[\]-~]+"))
LEAST_IDLE = 60.0  # seconds

Scope = Annotated[str, _SCOPE]


class SignIn(Block):
    client_id: of.Text
    """The gateway's own client at the provider."""
    client_secret: of.Secret | None = None
    """Its secret, as file:PATH or ${NAME}; none for a public client."""
    scopes: OneOrSome[Scope] = Field(default=["profile", "email"])
    """What is asked for besides openid."""
    title: of.Text | None = None
    """What people know the provider by, where they can choose; its name if left out."""


class SignOn(Block):
    idle: of.Wait = _RULES.idle
    """How long a session lasts without a request."""
    life: of.Wait = _RULES.life
    """How long a session lasts at all."""
    pages: of.FilePath | None = None
    """A folder of templates, styles and pictures that take the place of the gateway's own."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.idle < LEAST_IDLE:
            raise Complaint("is shorter than a minute, in which people do read", at=("idle",))
        if self.idle > self.life:
            raise Complaint("is longer than life, so it would never count", at=("idle",))
        return self
