"""3scale's app id and keys."""

from __future__ import annotations

from base64 import b64encode

import pytest

from gateway.errors import GatewayError, Unauthorized
from gateway.identity.api_keys import create
from gateway.identity.app_ids import AppIds
from gateway.identity.revocations import NoMarks
from gateway.model import ApiKey, Application

from .conftest import NOW

FIELDS = {"app_id": (("header", "App-Id"), ("header", "App-Key"))}
BASIC = {"app_id": (("basic", "username"), ("basic", "password"))}
FIRST, SECOND, OTHER = create(), create(), create()
APPLICATIONS = (
    Application(
        name="mobile",
        plans=("gold",),
        app_id="a1b2",
        app_keys=(ApiKey(FIRST.digest), ApiKey(SECOND.digest, expires=NOW + 60)),
    ),
    Application(name="open", plans=("gold",), app_id="0000"),
    Application(name="other", plans=("gold",), app_id="c3d4", app_keys=(ApiKey(OTHER.digest),)),
)


def fields(app_id: str | None, key: str | None = None) -> list[tuple[bytes, bytes]]:
    pairs = ((b"app-id", app_id), (b"app-key", key))
    return [(name, value.encode()) for name, value in pairs if value is not None]


async def test_an_id_and_any_of_its_keys_are_an_application(opened, service, ask):
    async with opened(*APPLICATIONS) as passport:
        for key in (FIRST, SECOND):
            asked = ask(fields("a1b2", key.key))
            identity = passport.identify(service(FIELDS), asked, print)
            assert identity is not None
            assert (identity.application, identity.subject) == ("mobile", "application:mobile")
            assert identity.proof == ("app_id", f"app_key:{key.digest[7:19]}")
            assert passport.identify(service(FIELDS), asked, print) is identity


async def test_an_application_without_keys_is_asked_for_none(opened, service, ask):
    async with opened(*APPLICATIONS) as passport:
        for asked in (ask(fields("0000")), ask(fields("0000", "whatever"))):
            identity = passport.identify(service(FIELDS), asked, print)
            assert identity is not None
            assert (identity.application, identity.proof) == ("open", ("app_id",))


async def test_both_in_basic_credentials(opened, service, ask):
    async with opened(*APPLICATIONS) as passport:
        for text, application in ((f"a1b2:{FIRST.key}", "mobile"), ("0000:", "open")):
            asked = ask([(b"authorization", b"Basic " + b64encode(text.encode()))])
            identity = passport.identify(service(BASIC), asked, print)
            assert identity is not None
            assert identity.application == application


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (fields(None), 401, "credentials_missing"),
        (fields("a1b2"), 401, "credentials_missing"),
        (fields("a1b2", ""), 401, "credentials_missing"),
        (fields(None, FIRST.key), 401, "credentials_missing"),
        (fields("A1B2", FIRST.key), 401, "app_id_invalid"),
        (fields("mobile", FIRST.key), 401, "app_id_invalid"),
        (fields("a1b2", OTHER.key), 401, "app_key_invalid"),
        (fields("a1b2", FIRST.digest), 401, "app_key_invalid"),
        (fields("a1b2", FIRST.key) + fields("0000"), 400, "credentials_ambiguous"),
        (fields("0000", FIRST.key) + fields(None, SECOND.key), 400, "credentials_ambiguous"),
    ],
)
async def test_what_is_refused(opened, service, ask, sent, status, code):
    async with opened(*APPLICATIONS) as passport:
        with pytest.raises(GatewayError) as refused:
            passport.identify(service(FIELDS), ask(sent), print)
        assert (refused.value.status, refused.value.code) == (status, code)


async def test_a_key_of_an_id_ends_alone(opened, service, ask, clock):
    async with opened(*APPLICATIONS) as passport:
        clock.now += 60
        assert passport.identify(service(FIELDS), ask(fields("a1b2", FIRST.key)), print) is not None
        with pytest.raises(Unauthorized) as refused:
            passport.identify(service(FIELDS), ask(fields("a1b2", SECOND.key)), print)
        assert refused.value.code == "api_key_expired"


async def test_a_key_alone_is_not_anonymous(opened, service, ask):
    async with opened(*APPLICATIONS) as passport:
        visited = service(FIELDS, {"anonymous": "open"})
        assert passport.identify(visited, ask(), print) is not None
        with pytest.raises(Unauthorized):
            passport.identify(visited, ask(fields(None, FIRST.key)), print)


async def test_where_the_id_belongs_is_told(opened, service, ask):
    async with opened(*APPLICATIONS) as passport:
        with pytest.raises(Unauthorized) as refused:
            passport.identify(service(FIELDS), ask(), print)
        assert refused.value.challenges == ('ApiKey realm="orders", header="App-Id"',)


@pytest.mark.parametrize(
    ("applications", "told"),
    [
        ([Application(name="a", plans=(), app_id="1"), Application(name="b", plans=(), app_id="1")], "b: its app_id"),
        ([Application(name="a", plans=(), app_id="1", app_keys=(ApiKey("sha256:00"),))], "a: an app key's digest"),
    ],
)
def test_what_cannot_be_served(applications, told):
    with pytest.raises(ValueError, match=told):
        AppIds(applications, NoMarks())
