"""What every block of the files has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from gateway.config.blocks.described import descriptions
from gateway.config.blocks.scalar import Json
from gateway.config.blocks.scalars import Name
from gateway.config.problems import Complaint, kind

T = TypeVar("T")


class _OrOne:
    """A list that may be written as its one item."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        def listed(value: object) -> object:
            return value if isinstance(value, list) else [value]

        return core_schema.no_info_before_validator_function(listed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


Some = Annotated[list[T], Field(min_length=1)]
OneOrSome = Annotated[list[T], Field(min_length=1), _OrOne()]
Named = dict[Name, T]


class Block(BaseModel):
    """A mapping with known keys. `short` is the key that a lone text stands for.

    `later` names keys that are known and not supported, with what to use instead.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)  # built once, as parts of the whole file
    short: ClassVar[str] = ""
    later: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _mapping(cls, value: object) -> object:
        if isinstance(value, dict):
            return value
        if cls.short and isinstance(value, str):
            return {cls.short: value}
        raise Complaint(f"is {kind(value)}, would be a mapping of {' '.join(cls.keys())}")

    @classmethod
    def keys(cls) -> list[str]:
        """As files have them."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        long = handler(schema)
        properties = handler.resolve_ref_schema(long)["properties"]
        for name, text in descriptions(cls).items():
            properties[cls.model_fields[name].alias or name]["description"] = text
        return {"anyOf": [properties[cls.short], long]} if cls.short else long

    def _given(self, *names: str) -> list[str]:
        """Those of the keys that have a value."""
        return [name for name in names if getattr(self, name) is not None]
