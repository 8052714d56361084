"""`over:`, what happens over a limit: a word, or a mapping of one key with what that needs."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, NamedTuple

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block
from gateway.config.blocks.scalar import Json, one_of
from gateway.config.problems import Complaint
from gateway.model import Over

_WORDS = (Over.REJECT, Over.ALLOW, Over.SUSPEND)
_DEGRADE = "{degrade: UPSTREAM}"
_LATER = ("wait",)  # known, and not supported
_WORD = replace(one_of(_WORDS, _LATER, make=Over), what=f"{' '.join(_WORDS)} or {_DEGRADE}")


class Behaviour(NamedTuple):
    """What happens over a limit. `upstream`: who serves it then, for `degrade`."""

    over: Over
    upstream: str | None = None


class OverKeys(Block):
    degrade: of.Name
    """The service's upstream, among its `upstreams`, that serves what is over the limit."""

    later: ClassVar = dict.fromkeys(_LATER, _WORD.what)

    @property
    def behaviour(self) -> Behaviour:
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
    if value == Over.DEGRADE:
        raise Complaint(f"needs an upstream, as in {_DEGRADE}", shown=Over.DEGRADE.value)
    if not isinstance(value, dict):
        return Behaviour(_WORD.read(value))
    read: OverKeys = block(value)
    return read.behaviour
