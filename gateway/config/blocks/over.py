"""`over:`, what happens over a limit: a word, or a mapping of one key with what that needs."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidatorFunctionWrapHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block
from gateway.config.blocks.scalar import Json, one_of
from gateway.config.problems import Complaint
from gateway.model import Limit, Over

_WORDS = (Over.REJECT, Over.ALLOW, Over.SUSPEND)
_DEGRADE, _WAIT = "{degrade: UPSTREAM}", "{wait: 2s}"
_MORE = {Over.DEGRADE: f"needs an upstream, as in {_DEGRADE}", Over.WAIT: f"needs a time, as in {_WAIT}"}
_WORD = replace(one_of(_WORDS, make=Over), what=f"{' '.join(_WORDS)}, {_DEGRADE} or {_WAIT}")
PLACES = 100


class Behaviour(NamedTuple):
    """What happens over a limit. `upstream`: who serves it then, for `degrade`. `wait`: seconds, and `places` for so
    many in each worker, for `wait`.
    """

    over: Over
    upstream: str | None = None
    wait: float = 0.0
    places: int = 0

    @classmethod
    def of(cls, limit: Limit) -> Self:
        """A limit's."""
        return cls(limit.over, limit.upstream, limit.wait, limit.places)


class OverKeys(Block):
    degrade: of.Name | None = None
    """The service's upstream, among its `upstreams`, that serves what is over the limit."""
    wait: of.Turn | None = None
    """In its place: how long a request waits for its turn, before it is refused."""
    places: of.Connections | None = None
    """How many requests may wait at each counter of the limit, in each worker; 100 if left out."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = self._given("degrade", "wait")
        if len(given) > 1:
            raise Complaint("cannot be beside degrade", given[1], (given[1],), on_key=True)
        if self.places is not None and self.wait is None:
            raise Complaint("is only beside wait", "places", ("places",), on_key=True)
        if not given:
            raise Complaint("says nothing of what happens (degrade wait)")
        return self

    @property
    def behaviour(self) -> Behaviour:
        if self.wait is not None:
            return Behaviour(Over.WAIT, wait=self.wait, places=self.places or PLACES)
        return Behaviour(Over.DEGRADE, self.degrade)


def behaviour_of(read: OverKeys | Behaviour) -> Behaviour:
    """What was read, whichever its form."""
    return read if isinstance(read, Behaviour) else read.behaviour


class _Reader:
    """Makes either form a Behaviour."""

    def __get_pydantic_core_schema__(self, _source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(_read, handler.generate_schema(OverKeys))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        return {"anyOf": [*_WORD.__get_pydantic_json_schema__(schema, handler)["anyOf"], handler(schema)]}


READER = _Reader()


def _read(value: object, block: ValidatorFunctionWrapHandler) -> Behaviour:
    for over, lack in _MORE.items():
        if value == over:
            raise Complaint(lack, shown=over.value)
    if not isinstance(value, dict):
        return Behaviour(_WORD.read(value))
    read: OverKeys = block(value)
    return read.behaviour
