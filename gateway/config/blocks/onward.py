"""`identity:` of an upstream: what a service is told of who asks. A word, or one key with what that needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidatorFunctionWrapHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from gateway.config.blocks import network as net
from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block
from gateway.config.blocks.scalar import Json, Scalar, matching, one_of
from gateway.config.problems import Complaint
from gateway.model import Onward, Telling

_EXCHANGE = "{exchange: AUDIENCE}"
_WORDS = (Telling.PASS, Telling.NONE, Telling.TOKEN)
_WORD = replace(one_of(_WORDS, make=Telling), what=f"{' '.join(_WORDS)} or {_EXCHANGE}")
_PATH = r"/\.[A-Za-z0-9_-]+(?:/[A-Za-z0-9._-]+)*"
_TAKEN = frozenset(("host", "connection", "content-length", "transfer-encoding", "via", "forwarded", "cookie"))


def _header(text: str) -> str:
    name: str = matching(r"[A-Za-z][A-Za-z0-9-]{0,63}")(text).lower()
    if name in _TAKEN or name.startswith(("x-forwarded-", "x-application-", "x-request-")):
        raise Complaint("is a header with a meaning of its own; use another", shown=text)
    return name


Header = Annotated[str, Scalar("the name of a header, such as X-Identity", _header)]
_path = {"type": "string", "pattern": f"^{_PATH}$"}
PagePath = Annotated[str, Scalar("a path that begins with /., such as /.gateway/jwks", matching(_PATH), _path)]


class Exchange(Block):
    audience: of.Text
    """The client that the other token is for."""
    scope: of.Text | None = None
    """Scopes that are asked for."""

    short: ClassVar = "audience"


class Token(Block):
    audience: of.Text | None = None
    """Whom it is for (`aud`); the service's name if left out."""
    header: Header = "authorization"
    """Where it goes; Authorization, as Bearer, if left out."""

    short: ClassVar = "audience"


class OnwardKeys(Block):
    exchange: Exchange | None = None
    """Another token of the client's provider, for this audience."""
    token: Token | None = None
    """A token that the gateway signs."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self._given("exchange", "token")) != 1:
            raise Complaint("needs exactly one of exchange and token")
        return self

    @property
    def onward(self) -> Onward:
        if self.exchange is not None:
            return Onward(telling=Telling.EXCHANGE, audience=self.exchange.audience, scope=self.exchange.scope)
        assert self.token is not None
        return Onward(telling=Telling.TOKEN, audience=self.token.audience or "", header=self.token.header)


class IdentityTokens(Block):
    issuer: net.Url
    """Their `iss`."""
    path: PagePath = "/.gateway/jwks"
    """Where clients' listeners publish their keys, on all hosts."""
    rotate: of.MaxAge = 7 * 86400
    """For how long a key signs."""

    @model_validator(mode="after")
    def _slowly(self) -> Self:
        if self.rotate < 3600:
            raise Complaint("is less than an hour, in which services would not learn new keys", at=("rotate",))
        return self


class _Reader:
    """Makes either form an Onward."""

    def __get_pydantic_core_schema__(self, _source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(_read, handler.generate_schema(OnwardKeys))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        return {"anyOf": [*_WORD.__get_pydantic_json_schema__(schema, handler)["anyOf"], handler(schema)]}


READER = _Reader()


def _read(value: object, block: ValidatorFunctionWrapHandler) -> Onward:
    if value == Telling.EXCHANGE:
        raise Complaint(f"needs an audience, as in {_EXCHANGE}", shown=Telling.EXCHANGE.value)
    if not isinstance(value, dict):
        return Onward(telling=_WORD.read(value))
    read: OnwardKeys = block(value)
    return read.onward
