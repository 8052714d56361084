"""`ledger_down:`, what a plan does while usage cannot be counted: a word, or `local:` with what that needs."""

from __future__ import annotations

from dataclasses import replace

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block
from gateway.config.blocks.scalar import Json, one_of
from gateway.config.problems import Complaint
from gateway.model import Down, DownMode

_LOCAL = "local: {share: 10%, gateways: 4}"
_MODE = replace(one_of((DownMode.CLOSED, DownMode.OPEN), make=DownMode), what=f"closed, open, or {_LOCAL}")


class Local(Block):
    share: of.Share
    """The part of each limit that is kept back for it, such as 10%."""
    gateways: of.Gateways
    """How many gateways divide that part; no more of them may run."""


class LedgerDown(Block):
    local: Local
    """Let in as many as fit into a share of each limit."""

    @property
    def down(self) -> Down:
        return Down(mode=DownMode.LOCAL, share=self.local.share, gateways=self.local.gateways)


class _Word:
    """Makes either form a Down."""

    def __get_pydantic_core_schema__(self, _source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(_read, handler.generate_schema(LedgerDown))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        return {"anyOf": [*_MODE.__get_pydantic_json_schema__(schema, handler)["anyOf"], handler(schema)]}


WORD = _Word()


def _read(value: object, block: ValidatorFunctionWrapHandler) -> Down:
    if value == DownMode.LOCAL:
        raise Complaint(f"needs a share and the number of gateways, as in {_LOCAL}", shown=DownMode.LOCAL.value)
    if not isinstance(value, dict):
        return Down(mode=_MODE.read(value))
    read: LedgerDown = block(value)
    return read.down
