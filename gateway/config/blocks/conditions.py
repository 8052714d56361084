"""`require:` and `match:`: what a token must say of its user and client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from gateway import model
from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block, OneOrSome, Some
from gateway.config.blocks.scalar import Scalar, matching
from gateway.config.problems import Complaint

_WORD = r"[!#-\[\]-~]+"  # RFC 6749 3.3: what a challenge can name
_SCHEMA = {"type": "string", "pattern": f"^{_WORD}$"}
Scope = Annotated[str, Scalar("a scope, without spaces and quotes", matching(_WORD), _SCHEMA)]
Acr = Annotated[str, Scalar("a way of signing in (acr), without spaces and quotes", matching(_WORD), _SCHEMA)]


class Match(Block):
    """All that is named must hold."""

    roles: Some[of.Text] | None = None
    """Roles in the token, any of them; `client:role` for a client's own."""
    groups: Some[of.Text] | None = None
    """Groups in the token, any of them, as /staff."""
    scopes: Some[Scope] | None = None
    """Scopes of the token, all of them."""
    claims: dict[of.Text, OneOrSome[of.Text]] = Field(default_factory=dict)
    """Claims, by name or path (address.country), and the values of which each must have one; * for any."""

    @model_validator(mode="after")
    def _any(self) -> Self:
        if not any(self.model_dump().values()):
            raise Complaint(f"names nothing that must hold ({' '.join(type(self).model_fields)})")
        return self

    @property
    def required(self) -> model.Require:
        return model.Require(**_listed(self.model_dump()))


class Require(Match):
    acr: Some[Acr] | None = None
    """Ways of signing in, any of them."""
    max_age: of.Wait | None = None
    """How long ago the user may have signed in, such as 5m."""


def required(block: Match | None) -> model.Require | None:
    return None if block is None else block.required


def _listed(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, with tuples for lists."""
    given = {name: value for name, value in values.items() if value}
    return {name: _frozen(value) for name, value in given.items()}


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: tuple(items) for name, items in value.items()}
    return tuple(value) if isinstance(value, list) else value
