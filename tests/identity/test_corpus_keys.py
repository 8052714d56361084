"""The corpus of keys: each is refused with its code, cheaply, with one line in the log that repeats nothing of it."""

from __future__ import annotations

import logging
import re
import time
from base64 import b64encode
from hashlib import sha256

import pytest
from corpus.identity.keys import KEY_CASES, KeyCase

from gateway.errors import GatewayError
from gateway.identity.api_keys import create
from gateway.identity.passport import Passport
from gateway.identity.revocations import KEY
from gateway.model import ApiKey, Application
from gateway.store.marks import MemoryMarks

from .conftest import NOW, Ask, Clock

LINES = {
    "header": {"api_key": ("header", "X-Api-Key")},
    "query": {"api_key": ("query", "key")},
    "username": {"api_key": ("basic", "username")},
    "password": {"api_key": ("basic", "password")},
    "app": {"app_id": (("header", "App-Id"), ("header", "App-Key"))},
}
CREATED = {letter: create() for letter in "KOXRP"}
MINE = tuple(ApiKey(CREATED[letter].digest, expires=NOW - 1 if letter == "X" else None) for letter in "KXR")
APPLICATIONS = (
    Application(name="mobile", plans=(), api_keys=MINE, app_id="a1", app_keys=(ApiKey(CREATED["P"].digest),)),
    Application(name="other", plans=(), api_keys=(ApiKey(CREATED["O"].digest),)),
)
CPU = 0.005  # seconds that one bad request may take


def filled(text: str) -> str:
    """Placeholders, the innermost first."""
    text = re.sub(r"([KOXRP])\[:-1\]", lambda found: changed(key(found[1])), text)
    text = re.sub(r"([KOXRP])\[1:\]", lambda found: key(found[1])[1:], text)
    text = re.sub(r"([KOXRP])\.upper", lambda found: key(found[1]).upper(), text)
    text = re.sub(r"sha256\(([KOXRP])\)", lambda found: CREATED[found[1]].digest, text)
    text = re.sub(r"hex\(([KOXRP])\)", lambda found: sha256(key(found[1]).encode()).hexdigest(), text)
    text = re.sub(r"(?<![A-Za-z0-9_])([KOXRP]+)(?=0?(?![A-Za-z]))", lambda found: "".join(map(key, found[1])), text)
    text = re.sub(r"unpadded\(([^)]*)\)", lambda found: b64(found[1] + "x").rstrip("="), text, flags=re.DOTALL)
    return re.sub(r"b64\(([^)]*)\)", lambda found: b64(found[1]), text, flags=re.DOTALL)


def key(letter: str) -> str:
    return CREATED[letter].key


def changed(text: str) -> str:
    return text[:-1] + ("a" if text[-1] != "a" else "b")


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


async def passport_of(clock: Clock) -> Passport:
    marks = MemoryMarks(clock, lambda row: None)
    await marks.set(KEY, CREATED["R"].digest)
    return Passport({}, APPLICATIONS, marks=marks, clock=clock)


@pytest.mark.parametrize("case", KEY_CASES, ids=lambda case: case.name)
async def test_a_key_of_the_corpus(case: KeyCase, service, clock, caplog):
    caplog.set_level(logging.INFO)
    passport, protected = await passport_of(clock), service(LINES[case.line])
    fields = [(name.encode(), filled(value).encode()) for name, value in case.fields]
    asked = Ask(fields, query=filled(case.query).encode())
    began = time.process_time()
    try:
        identity = passport.identify(protected, asked, print)
    except GatewayError as error:
        assert time.process_time() - began < CPU
        assert error.code == case.code
        assert error.status == (400 if error.code == "credentials_ambiguous" else 401)
        assert len(caplog.records) == 1
        told = caplog.text + error.detail + "".join(error.challenges)
        assert [letter for letter, made in CREATED.items() if made.key in told or made.digest in told] == []
        again = Ask(fields, query=asked.query)
        with pytest.raises(GatewayError) as repeated:
            passport.identify(protected, again, print)
        assert repeated.value.code == case.code
    else:
        assert identity is not None
        assert case.code in ("", "other"), case.rule
        assert identity.application == (case.code or "mobile")


def test_the_corpus_names_each_case_once() -> None:
    names = [case.name for case in KEY_CASES]
    assert len(set(names)) == len(names) >= 95
