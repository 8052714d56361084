"""The JSON Schema of the files. Defaults are told in words: those of pydantic are values of Python."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway.config.blocks import File
from gateway.config.blocks.scalars import NAME


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of one file, for editors."""
    described = File.model_json_schema(schema_generator=_Generator)
    return {"$schema": _Generator.schema_dialect, **described, "title": "A file of plans"}


class _Generator(GenerateJsonSchema):
    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        return super().dict_schema(schema) | {"propertyNames": {"pattern": rf"^({NAME}\.)?{NAME}$"}}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False
