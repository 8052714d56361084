"""A configuration goes over HTTP and is the same, but for secrets and where files lie."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass, replace
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from gateway.config import load
from gateway.destinations import Channel, Webhook
from gateway.diff.compare import compare
from gateway.model import Config, Moment, Store
from gateway.process.declared import MAKERS, NOUNS, SECRET, declared, portable, undeclared

HOW_TO = sorted((Path(__file__).parents[2] / "docs" / "how-to").glob("*.md"))
SIMPLE = {str, int, float, bool, type(None), Path, Moment, Decimal, Fraction, IPv4Network, IPv6Network}


@pytest.mark.parametrize("page", [page for page in HOW_TO if "```yaml" in page.read_text()], ids=lambda page: page.stem)
def test_what_was_told_is_the_same(tmp_path: Path, page: Path) -> None:
    found = re.search(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    (tmp_path / "plans.yaml").write_text(found[1])
    config = portable(load(tmp_path))
    heard = undeclared(declared(config))
    assert declared(heard) == declared(config)
    assert not compare(config, heard)


def test_there_is_a_way_to_tell_whatever_a_configuration_may_hold() -> None:
    kinds = set(kinds_in(Config, set()))
    assert {noun.__name__ for noun in kinds - SIMPLE} <= NOUNS.keys()
    assert {kind.__name__ for kind in SIMPLE - {str, int, bool, type(None)}} <= MAKERS.keys()


def kinds_in(hint: Any, seen: set[Any]) -> Iterator[type]:
    """The classes of values that an annotation allows, and those within them."""
    if get_origin(hint) in (Union, types.UnionType, tuple, Mapping):
        for inner in get_args(hint):
            yield from () if inner is ... else kinds_in(inner, seen)
    elif hint not in seen:
        seen.add(hint)
        yield hint
        if is_dataclass(hint) or issubclass(hint, tuple):
            for inner in get_type_hints(hint).values():
                yield from kinds_in(inner, seen)
        else:
            assert hint in SIMPLE or issubclass(hint, Enum), hint


def test_no_secret_is_told() -> None:
    hook = Webhook(url="https://hooks.example.com/T0KEN", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    store = Store(kind="url", url="redis://gateway:hunter2@redis:6379", password="hunter3")
    config = Config(channels={"ops": Channel(name="ops", to=hook)}, store=store)
    told = declared(config)
    for secret in (b"T0KEN", b"whsec", b"hunter"):
        assert secret not in told
    heard = undeclared(told)
    assert (heard.store.url, heard.store.password) == ("redis://***@redis:6379", SECRET)
    assert declared(heard) == told


def test_files_are_told_by_what_is_in_them(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("a CA")
    heard = undeclared(declared(Config(store=Store(kind="url", url="rediss://redis", ca=tmp_path / "ca.pem"))))
    assert str(heard.store.ca).startswith("sha256:")
    assert str(tmp_path) not in str(heard.store)


def test_where_an_embedded_store_listens_is_no_difference() -> None:
    config = Config(store=Store(kind="embedded"))
    running = replace(config, store=replace(config.store, url="unix:///run/data/store/valkey.sock"))
    assert declared(running) == declared(config)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"{}",
        b"[1]",
        b'{"": "Config", "unknown": 1}',
        b'{"": "Nothing"}',
        b'{"": "Path", "of": 1}',
        b'{"": "Period", "of": "fortnight"}',
        b'{"": "IPv4Network", "of": "everywhere"}',
        b'{"": "Fraction", "of": "1/0"}',
        b'{"": "Mapping", "of": [[[], 1, 2]]}',
        b'{"": ["Config"]}',
        b"[" * 100_000,
    ],
)
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"it is|Expecting|appear|xpected|unpack"):
        undeclared(text)


def test_classes_that_are_no_nouns_cannot_be_named() -> None:
    for name in ("Path.home", "eval", "OrderedDict", "load", "Held"):
        with pytest.raises(ValueError, match="as this version does"):
            undeclared(json.dumps({"": name, "of": []}).encode())
