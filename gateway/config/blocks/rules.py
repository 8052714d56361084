"""How mapping rules are read: `GET /orders: hits`, `POST /bulk: {writes: 10}`; beside the pattern may be `last: true`
and `require`."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

from gateway.config.blocks.conditions import Require
from gateway.config.blocks.costs import SCHEMA, Amount, amount
from gateway.config.blocks.scalar import Json, Scalar
from gateway.config.blocks.scalars import FLAG, METRIC, NAME
from gateway.config.problems import Complaint, instead, kind
from gateway.model import Measure, Pattern
from gateway.routing.patterns import METHODS, parse

LAST, REQUIRE = "last", "require"
BESIDE = (LAST, REQUIRE)
_PATTERN = f"^({'|'.join(METHODS)}) /"


def read_pattern(text: str) -> Pattern:
    """`GET /orders/{id}$`: a method or ANY, a space and a path; raises Complaint."""
    method, space, path = text.partition(" ")
    if not space:
        raise Complaint("is not a method and a pattern, such as GET /orders", shown=text)
    if method not in METHODS:
        raise Complaint(f"is not a method{instead(method.upper(), METHODS)}", shown=method)
    if "$" in path.partition("?")[0][:-1]:
        raise Complaint("has a '$' before its end; write %24 for the character", shown=path)
    try:
        parse(path)
    except ValueError as error:
        raise Complaint(f"is not a pattern: {error}", shown=path) from None
    return Pattern(method, path)


PathPattern = Annotated[
    Pattern,
    Scalar("a method and a pattern, such as GET /orders", read_pattern, {"type": "string", "pattern": _PATTERN}),
]


class RuleLine(NamedTuple):
    """One rule. `key` is the pattern as written."""

    key: str
    pattern: Pattern
    usage: dict[str, int]
    last: bool
    require: Require | None
    measures: tuple[Measure, ...]


class _Reader:
    """Reads a rule from its mapping, for pydantic."""

    def __get_pydantic_core_schema__(self, _source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        require = core_schema.typed_dict_field(handler.generate_schema(Require), required=False)
        return core_schema.no_info_wrap_validator_function(_rule, core_schema.typed_dict_schema({REQUIRE: require}))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        require = handler.resolve_ref_schema(handler(schema))["properties"][REQUIRE]
        metric = {"type": "string", "pattern": f"^{NAME}$"}
        units: Json = {"anyOf": [{"type": "integer", "minimum": 1}, SCHEMA]}
        amounts = {"type": "object", "propertyNames": metric, "additionalProperties": units}
        return {
            "type": "object",
            "properties": {LAST: {"type": "boolean"}, REQUIRE: require},
            "patternProperties": {_PATTERN: {"anyOf": [metric, amounts]}},
            "additionalProperties": False,
        }


Rule = Annotated[RuleLine, _Reader()]


def _rule(value: object, beside: ValidatorFunctionWrapHandler) -> RuleLine:
    if not isinstance(value, dict):
        raise Complaint(f"is {kind(value)}, would be a rule such as GET /orders: hits")
    key = _pattern_of(value)
    try:
        pattern = read_pattern(key)
    except Complaint as complaint:
        raise complaint.below(key, on_key=True) from None
    last = LAST in value and _flag(value[LAST])
    require = beside({name: value[name] for name in (REQUIRE,) if name in value})
    amounts = _amounts(value[key], key)
    usage = {metric: of.reserve if isinstance(of, Measure) else of for metric, of in amounts.items()}
    measures = tuple(of for of in amounts.values() if isinstance(of, Measure))
    return RuleLine(key, pattern, usage, last, require.get(REQUIRE), measures)


def _pattern_of(value: dict[str, object]) -> str:
    keys = [name for name in value if name not in BESIDE]
    if not keys:
        raise Complaint("is a rule without a pattern, would be such as GET /orders: hits")
    for name in keys[1:]:
        if " " in name:
            raise Complaint("is a second pattern; write a rule for each", name, (name,), on_key=True)
        raise Complaint(f"is not known here{instead(name, BESIDE)}", name, (name,), on_key=True)
    return keys[0]


def _amounts(value: object, key: str) -> dict[str, Amount]:
    try:
        if not isinstance(value, dict):
            return {METRIC.read(value): 1}
        if not value:
            raise Complaint(f"is empty, would be {METRIC.what}")
        return dict(_charged(name, units) for name, units in value.items())
    except Complaint as complaint:
        raise complaint.below(key) from None


def _charged(name: str, units: object) -> tuple[str, Amount]:
    try:
        return METRIC.read(name), amount(name, units)
    except Complaint as complaint:
        raise complaint.below(name) from None


def _flag(value: object) -> bool:
    try:
        return bool(FLAG.read(value))
    except Complaint as complaint:
        raise complaint.below(LAST) from None
