"""An amount that the answer says: `{json: usage.total_tokens, reserve: 4000}`, `{header: X-Cost, reserve: 10}`."""

from __future__ import annotations

from typing import Any

from gateway.config.blocks import network as net
from gateway.config.blocks.scalar import Json, Scalar, matching, number
from gateway.config.blocks.scalars import GREATEST
from gateway.config.problems import Complaint, instead
from gateway.model import Measure

AMOUNT = number(1, GREATEST, "a whole number from 1 to 10^15")
EXAMPLE = "{json: usage.total_tokens, reserve: 4000}"
PATH = r"[A-Za-z0-9_-]{1,60}(\.[A-Za-z0-9_-]{1,60}){0,7}"
_json = Scalar("a path of names from the outermost object inwards, such as usage.total_tokens", matching(PATH))
_header: Scalar = net.Header.__metadata__[0]  # type: ignore[attr-defined]
PLACES = {"json": _json, "header": _header}
KEYS = (*PLACES, "reserve")
SCHEMA: Json = {
    "type": "object",
    "properties": {
        "json": {"type": "string", "pattern": f"^{PATH}$"},
        "header": {"type": "string"},
        "reserve": {"type": "integer", "minimum": 1, "maximum": GREATEST},
    },
    "required": ["reserve"],
    "oneOf": [{"required": ["json"]}, {"required": ["header"]}],
    "additionalProperties": False,
}

Amount = int | Measure


def amount(metric: str, value: object) -> Amount:
    """What one request uses of a metric; raises Complaint."""
    if not isinstance(value, dict):
        if isinstance(value, list):
            raise Complaint(f"is a list, would be {AMOUNT.what}, or as in {EXAMPLE}")
        return int(AMOUNT.read(value))
    for key in value:
        if key not in KEYS:
            raise Complaint(f"is not known here{instead(key, KEYS)}", key, (key,), on_key=True)
    places = [key for key in PLACES if key in value]
    if len(places) != 1:
        raise Complaint("needs exactly one place where the answer says it: json or header")
    if "reserve" not in value:
        raise Complaint(f"needs a reserve, which is held until the answer says how much, as in {EXAMPLE}")
    (place,) = places
    return Measure(metric, place, _read(place, PLACES[place], value), _read("reserve", AMOUNT, value))


def _read(key: str, scalar: Scalar, value: dict[str, object]) -> Any:
    try:
        return scalar.read(value[key])
    except Complaint as complaint:
        raise complaint.below(key) from None
