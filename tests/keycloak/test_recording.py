"""The recorded tokens are what the server gives today: a change of Keycloak's shapes is seen here first."""

from __future__ import annotations

import json

import pytest

from .realms import Realm, Token
from .recording import FILE, tokens_by_kind, told_by_kind

pytestmark = [pytest.mark.keycloak, pytest.mark.timeout(120, func_only=True)]

Shape = tuple[set[str], set[str]]


def shape(token: Token) -> Shape:
    """The names in header and claims; what stands there differs from server to server."""
    return set(token.header), set(token.claims)


def test_recorded_tokens_have_the_shapes_of_live_ones(demo: Realm) -> None:
    recorded = {kind: Token.read(text) for kind, text in json.loads(FILE.read_text())["tokens"].items()}
    live = tokens_by_kind(demo)
    assert {kind: shape(token) for kind, token in recorded.items()} == {k: shape(token) for k, token in live.items()}


def test_introspection_tells_what_is_recorded(demo: Realm) -> None:
    recorded = json.loads(FILE.read_text())["told"]
    live = told_by_kind(demo, tokens_by_kind(demo))
    assert {kind: set(told) for kind, told in recorded.items()} == {kind: set(told) for kind, told in live.items()}


def test_the_recorded_discovery_document_has_the_names_of_the_live_one(demo: Realm) -> None:
    assert json.loads(FILE.read_text())["discovery"].keys() == demo.discovery().keys()
