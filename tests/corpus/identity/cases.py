"""Every case, by its class."""

from __future__ import annotations

from . import advisories, bindings, introspection, key_sets, lookalikes, spellings, tokens
from .notation import Case

CLASSES: dict[str, list[Case]] = {
    "claims": tokens.CLAIMS,
    "headers": tokens.HEADERS,
    "octets": tokens.OCTETS,
    "spellings": tokens.SPELLINGS,
    "signatures": tokens.SIGNATURES,
    "tokens": tokens.GOOD,
    "proofs' claims": bindings.CLAIMS,
    "proofs' headers": bindings.HEADERS,
    "proofs' keys": bindings.KEYS,
    "proofs' octets": bindings.OCTETS,
    "schemes": bindings.SCHEMES,
    "proofs": bindings.GOOD,
    "told": introspection.TOLD,
    "opaque": introspection.GARBAGE,
    "opaque tokens": introspection.GOOD,
    "keys": key_sets.KEYS,
    "curves": advisories.CURVES,
    "numbers": advisories.NUMBERS,
    "shapes": advisories.SHAPES,
    "heads": spellings.HEADS,
    "spelt": spellings.SPELT,
    "places": spellings.PLACES,
    "more proofs": lookalikes.PROOFS,
    "unread": lookalikes.UNREAD,
    "key sets": key_sets.GOOD,
}
