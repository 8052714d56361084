"""A page that asks for another way of signing in, or for a later one, where people come by SAML."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from corpus.saml.builder import NOW, REQUEST, Answer, at
from lxml import etree

from gateway.sso.saml.bindings import Sent
from gateway.sso.saml.names import a, p
from gateway.sso.saml.writing import fresh_id

from .rig import Stage, files, read_redirect, responding, stage

STRONG = "urn:oasis:names:tc:SAML:2.0:ac:classes:X509"
OTHER = "urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken"
ANSWERS = f'InResponseTo="{REQUEST}"'
WEAK = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"


def by(context: str, seconds: float = -2) -> Answer:
    """Somebody who signed in this way, then."""
    authn = Answer().authn.replace(WEAK, context).replace(at(-2), at(seconds))
    return Answer(authn=authn)


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(files(tmp_path)) as site:
        yield site


async def asked(site: Stage, query: str) -> Sent:
    answer = await site.http.get(f"/.sso/login?to=/vault&provider=partner&{query}")
    assert answer.status_code == 303, answer.text
    return read_redirect(answer)


async def done(site: Stage, sent: Sent, answer: Answer) -> httpx2.Response:
    fresh = replace(answer, assertion=answer.assertion.replace("_assertion", fresh_id()))
    posted = await site.post(responding(sent, fresh), sent.relay_state)
    return await site.http.get(posted.headers["location"])


async def test_another_way_is_asked_for_by_class_and_a_later_one_by_force(site: Stage) -> None:
    root = etree.fromstring((await asked(site, f"acr={STRONG}+{OTHER}&max_age=600")).xml)
    assert root.get("ForceAuthn") == "true"
    assert [child.tag for child in root] == [a("Issuer"), p("NameIDPolicy"), p("RequestedAuthnContext")]
    assert root[2].get("Comparison") == "exact"
    assert [(each.tag, each.text) for each in root[2]] == [
        (a("AuthnContextClassRef"), STRONG),
        (a("AuthnContextClassRef"), OTHER),
    ]
    plain = etree.fromstring((await site.begin()).xml)
    assert plain.get("ForceAuthn") is None
    assert plain.find(p("RequestedAuthnContext")) is None


async def test_who_signs_in_as_was_asked_comes_to_the_page(site: Stage) -> None:
    await site.sign_in()
    sent = await asked(site, f"acr={STRONG}&max_age=600")
    entered = await done(site, sent, by(STRONG))
    assert (entered.status_code, entered.headers["location"]) == (303, "/vault")
    (session,) = await site.open()  # the one of before has ended
    assert (await site.http.get("/.sso/me")).json()["claims"]["acr"] == STRONG
    assert session.begun == NOW


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (f"acr={STRONG}", by(WEAK)),
        (f"acr={STRONG}", replace(Answer(), authn=Answer().authn.replace(f">{WEAK}<", "><"))),
        ("max_age=600", by(WEAK, -601)),  # the provider does not heed ForceAuthn
        (f"acr={STRONG}&max_age=600", by(STRONG, -700)),
        (f"acr={STRONG}&max_age=600", by(WEAK)),
    ],
    ids=["by another way", "by no way that is named", "too long ago", "as asked, too long ago", "now, by another way"],
)
async def test_a_provider_that_does_not_do_it_leads_to_no_circle(site: Stage, query: str, answer: Answer) -> None:
    await site.sign_in()
    before = await site.open()
    refused = await done(site, await asked(site, query), answer)
    assert refused.status_code == 403
    assert "<code>sign_in_too_weak</code>" in refused.text
    assert await site.open() == before  # the session is as it was


async def test_a_provider_whose_clock_is_ahead_signs_in_just_now(site: Stage) -> None:
    entered = await done(site, await asked(site, "max_age=600"), by(WEAK, 50))
    assert entered.status_code == 303


async def test_who_must_always_prove_themselves_does_it_at_each_sign_in(tmp_path: Path) -> None:
    async with stage(replace(files(tmp_path), force_authn=True)) as site:
        sent = await site.begin()
        assert etree.fromstring(sent.xml).get("ForceAuthn") == "true"
        refused = await done(site, sent, by(WEAK, -120))
        assert (refused.status_code, await site.open()) == (403, [])
        assert "<code>sign_in_too_weak</code>" in refused.text
        assert (await done(site, await site.begin(), by(WEAK, -30))).status_code == 303


async def test_so_it_is_where_a_sign_in_begins_at_the_provider(tmp_path: Path) -> None:
    async with stage(replace(files(tmp_path), force_authn=True, unsolicited=True)) as site:
        site.clock.now += 120  # the records remember long enough
        for seconds, status in ((-10, 403), (80, 303)):
            answer = by(WEAK, seconds)
            made = answer.assertion.replace("_assertion", fresh_id()).replace(at(-1), at(110))
            unasked = {name: getattr(answer, name).replace(ANSWERS, "") for name in ("response", "data")}
            answered = await site.post(replace(answer, assertion=made, **unasked).xml(), "/vault")
            assert answered.status_code == status
        assert answered.headers["location"] == "/vault"
