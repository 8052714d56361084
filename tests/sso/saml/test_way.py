"""Signing in and out by SAML, from the browser's side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from corpus.saml.builder import ACS, ALICE, IDP, LOGOUT, NOW, SP, Answer, Sealing, Signing, at, pair
from corpus.saml.metadata import KEYS, SSO, key, provider_metadata, service
from lxml import etree

from gateway.model import Saml
from gateway.sso.saml import names, writing
from gateway.sso.saml.bindings import check_query_signature, redirect
from gateway.sso.saml.entities import NameId
from gateway.sso.saml.logout import read_request, read_response
from gateway.sso.saml.names import md
from gateway.sso.saml.xml import parse

from .rig import HERE, SERVICES, SLO, Stage, files, logout_query, read_redirect, responding, stage

NAME = NameId(value=ALICE, format=names.EMAIL)


@pytest.fixture
def saml(tmp_path: Path) -> Saml:
    return files(tmp_path)


@pytest_asyncio.fixture
async def site(saml: Saml) -> AsyncIterator[Stage]:
    async with stage(saml) as site:
        yield site


# --- in


async def test_a_person_signs_in_and_comes_back_to_where_they_wanted_to_go(site: Stage) -> None:
    entered = await site.sign_in()
    assert (entered.status_code, entered.headers["location"]) == (303, "/shop?a=1")
    (session,) = await site.open()
    assert (session.provider, session.subject) == ("partner", ALICE)
    me = (await site.http.get("/.sso/me")).json()
    assert me["provider"] == "partner"
    assert me["roles"] == ["staff", "admins"]


async def test_the_request_is_signed_and_says_where_the_answer_belongs(site: Stage) -> None:
    sent = await site.begin()
    check_query_signature(sent, [pair("sp").certificate], NOW)
    root = parse(sent.xml)
    assert root.get("AssertionConsumerServiceURL") == ACS
    assert root.get("Destination") == "https://idp.example.com/sso"
    assert root[0].text == SP


async def test_an_encrypted_assertion(site: Stage) -> None:
    assert (await site.sign_in(Answer(sealing=Sealing()))).headers["location"] == "/shop?a=1"


async def test_the_session_ends_when_the_provider_says(site: Stage) -> None:
    answer = Answer(
        authn=Answer().authn.replace("<saml:AuthnStatement", f'<saml:AuthnStatement SessionNotOnOrAfter="{at(60)}"')
    )
    await site.sign_in(answer)
    (session,) = await site.open()
    assert session.ends == NOW + 60


async def test_another_browser_cannot_finish_a_sign_in(site: Stage) -> None:
    """Login CSRF: who has the address of the last step has no cookie of the first."""
    sent = await site.begin()
    posted = await site.post(responding(sent), sent.relay_state)
    site.http.cookies.clear()
    finished = await site.http.get(posted.headers["location"])
    assert finished.status_code == 400
    assert "not_begun_here" in finished.text
    assert await site.open() == []


async def test_a_response_is_used_once(site: Stage) -> None:
    sent = await site.begin()
    xml = responding(sent)
    first = await site.post(xml, sent.relay_state)
    again = await site.post(xml, sent.relay_state)
    assert "saml_replayed" in again.text
    assert (await site.http.get(first.headers["location"])).status_code == 303
    over = await site.http.get(first.headers["location"])
    assert "sign_in_over" in over.text


async def test_the_response_to_another_sign_in_is_refused(site: Stage) -> None:
    """As is that of another browser: what it answers goes by RelayState, which is secret."""
    mine, other = await site.begin(), await site.begin()
    posted = await site.post(responding(other), mine.relay_state)
    assert (posted.status_code, "saml_request_unknown" in posted.text) == (400, True)


@pytest.mark.parametrize("state", [None, "", "/shop", "x" * 43, "\N{SNOWMAN}"])
async def test_nobody_signs_in_who_was_not_asked_to(site: Stage, state: str | None) -> None:
    posted = await site.post(Answer().xml(), state)
    assert posted.status_code == 400
    assert "saml_response_unsolicited" in posted.text or "saml_request_unknown" in posted.text


async def test_a_refusal_is_a_page_with_its_code(site: Stage) -> None:
    refused = await site.sign_in(Answer(signing=Signing(key=pair("evil").key)))
    assert refused.headers["content-type"].startswith("text/html")
    assert "saml_signature_invalid" in refused.text
    assert "The signature is not by a key of the provider" in refused.text


async def test_what_the_provider_refuses_is_403(site: Stage) -> None:
    status = f'<samlp:Status><samlp:StatusCode Value="{names.STATUS}Responder"/></samlp:Status>'
    refused = await site.sign_in(Answer(status=status))
    assert (refused.status_code, "The provider refused: Responder." in refused.text) == (403, True)


async def test_who_is_who_goes_by_the_files(saml: Saml) -> None:
    mapped = replace(
        saml,
        subject="uid",
        roles="memberOf",
        groups="teams",
        claims={"email": "mail", "teams": "teams"},
        client_id="web",
    )
    values = {"uid": ["u-1"], "memberOf": ["admin", "a:b"], "mail": ["a@example.com"], "teams": ["x", "y"]}
    inner = "".join(
        f'<saml:Attribute Name="{name}">{"".join(f"<saml:AttributeValue>{v}</saml:AttributeValue>" for v in found)}'
        f"</saml:Attribute>"
        for name, found in values.items()
    )
    async with stage(mapped) as site:
        await site.sign_in(Answer(attributes=f"<saml:AttributeStatement>{inner}</saml:AttributeStatement>"))
        me = (await site.http.get("/.sso/me")).json()
        (session,) = await site.open()
    assert session.subject == "u-1"
    assert (me["subject"], me["client"], me["claims"]["email"]) == ("u-1", "web", "a@example.com")
    assert (me["roles"], me["groups"]) == (["admin"], ["x", "y"])


async def test_a_subject_needs_one_value(saml: Saml) -> None:
    async with stage(replace(saml, subject="groups")) as site:
        assert "saml_subject_missing" in (await site.sign_in()).text
    async with stage(replace(saml, subject="uid")) as site:
        assert "saml_subject_missing" in (await site.sign_in()).text


async def test_a_transient_name_is_nobody_for_long(saml: Saml) -> None:
    answer = Answer(name_id=f'<saml:NameID Format="{names.TRANSIENT}">_once</saml:NameID>')
    async with stage(saml) as site:
        assert "saml_name_id_refused" in (await site.sign_in(answer)).text


# --- begun at the provider

UNASKED = Answer(
    response=f'ID="_response" Version="2.0" IssueInstant="{at(0)}" Destination="{ACS}"',
    assertion=f'ID="_assertion" Version="2.0" IssueInstant="{at(0)}"',
    data=f'Recipient="{ACS}" NotOnOrAfter="{at(300)}"',
)


async def test_a_sign_in_may_begin_at_the_provider_where_the_files_say_so(saml: Saml) -> None:
    async with stage(replace(saml, unsolicited=True)) as site:
        site.clock.now += 120  # the records remember long enough
        answer = replace(UNASKED, assertion=UNASKED.assertion.replace(at(0), at(110)))
        entered = await site.post(answer.xml(), "/shop")
        assert (entered.status_code, entered.headers["location"]) == (303, "/shop")
        assert len(await site.open()) == 1
        assert "saml_replayed" in (await site.post(answer.xml(), "/shop")).text
        elsewhere = replace(answer, assertion=answer.assertion.replace("_assertion", "_2"))
        assert (await site.post(elsewhere.xml(), "https://evil.example")).headers["location"] == "/"


async def test_nothing_begins_at_the_provider_while_nobody_knows_what_was_used(saml: Saml) -> None:
    """A store that has just begun may have forgotten."""
    async with stage(replace(saml, unsolicited=True)) as site:
        assert "saml_replayed" in (await site.post(UNASKED.xml(), None)).text


# --- out


async def test_who_signs_out_is_signed_out_at_the_provider(site: Stage) -> None:
    await site.sign_in()
    left = await site.http.post("/.sso/logout", headers={"sec-fetch-site": "same-origin"})
    assert left.headers["location"].startswith(f"{SLO}?SAMLRequest=")
    assert await site.open() == []
    sent = read_redirect(left)
    sp = replace_idp("sp")
    asked = read_request(sent, sp, SLO, NOW)
    assert (asked.name_id, asked.sessions) == (NAME, ("_session",))
    answer = writing.logout_response(IDP, f"{HERE}/slo", asked.id, NOW)
    back = redirect(f"{HERE}/slo", "SAMLResponse", writing.octets(answer), sent.relay_state, pair("idp"))
    done = await site.http.get(back)
    assert done.headers["location"] == "/.sso/signed-out"


async def test_a_provider_that_ends_not_all_sessions_says_so(site: Stage) -> None:
    await site.sign_in()
    sent = read_redirect(await site.http.post("/.sso/logout", headers={"sec-fetch-site": "same-origin"}))
    identifier = str(parse(sent.xml).get("ID"))
    answer = writing.logout_response(IDP, f"{HERE}/slo", identifier, NOW, status=f"{names.STATUS}Responder")
    back = redirect(f"{HERE}/slo", "SAMLResponse", writing.octets(answer), sent.relay_state, pair("idp"))
    assert "saml_status_refused" in (await site.http.get(back)).text


def replace_idp(name: str) -> object:
    """The gateway as its provider sees it."""
    from corpus.saml.builder import provider

    return provider(entity_id=SP, certificates=(pair(name).certificate,))


async def test_the_provider_ends_a_session(site: Stage) -> None:
    await site.sign_in()
    told = await site.http.get(logout_query(NAME, "_session"))
    assert await site.open() == []
    sent = read_redirect(told)
    assert told.headers["location"].startswith(f"{SLO}?SAMLResponse=")
    assert sent.relay_state == "idp-state"
    root = parse(sent.xml)
    read_response(sent, replace_idp("sp"), SLO, str(root.get("InResponseTo")), NOW)  # type: ignore[arg-type]


async def test_the_provider_ends_all_sessions_of_a_user(site: Stage) -> None:
    await site.sign_in()
    site.http.cookies.clear()
    await site.sign_in(Answer(assertion=Answer().assertion.replace("_assertion", "_2"),
                              authn=Answer().authn.replace("_session", "_other")))  # fmt: skip
    assert len(await site.open()) == 2
    await site.http.get(logout_query(NAME, None))
    assert await site.open() == []


@pytest.mark.parametrize(
    ("name", "index"),
    [(NAME, "_other"), (replace(NAME, value="bob"), "_session"), (replace(NAME, format=names.PERSISTENT), "_session")],
)
async def test_the_provider_ends_only_what_it_names(site: Stage, name: NameId, index: str) -> None:
    await site.sign_in()
    await site.http.get(logout_query(name, index))
    assert len(await site.open()) == 1


async def test_a_logout_request_of_another_is_refused(site: Stage) -> None:
    await site.sign_in()
    refused = await site.http.get(logout_query(NAME, "_session", key="evil"))
    assert (refused.status_code, "saml_signature_invalid" in refused.text) == (400, True)
    assert len(await site.open()) == 1


async def test_a_logout_request_is_heeded_once(site: Stage) -> None:
    path = logout_query(NAME, "_session")
    await site.http.get(path)
    await site.sign_in()
    assert "saml_replayed" in (await site.http.get(path)).text
    assert len(await site.open()) == 1


async def test_a_provider_of_forms_alone(saml: Saml) -> None:
    """Pages run no script here, so the person presses a button."""
    post = service("SingleLogoutService", names.POST, SLO)
    saml.metadata.write_bytes(provider_metadata(KEYS + post + SSO))
    async with stage(saml) as site:
        await site.sign_in()
        left = await site.http.post("/.sso/logout", headers={"sec-fetch-site": "same-origin"})
    assert f'action="{SLO}"' in left.text
    assert 'name="SAMLRequest"' in left.text
    assert "Sign out of Partner too</button>" in left.text
    assert "form-action 'self' https://idp.example.com" in left.headers["content-security-policy"]


async def test_without_a_key_a_logout_is_local(saml: Saml) -> None:
    async with stage(replace(saml, pairs=())) as site:
        sent = await site.begin()
        assert sent.signature == b""
        await site.sign_in()
        left = await site.http.post("/.sso/logout", headers={"sec-fetch-site": "same-origin"})
        assert "Partner could not be told" in left.text
        assert await site.open() == []


# --- the files


async def test_the_gateways_metadata(site: Stage) -> None:
    answer = await site.http.get("/.sso/partner/metadata")
    assert answer.headers["content-type"] == "application/samlmetadata+xml"
    root = etree.fromstring(answer.content)
    assert root.get("entityID") == SP
    (acs,) = root.iter(md("AssertionConsumerService"))
    assert (acs.get("Location"), {each.get("Location") for each in root.iter(md("SingleLogoutService"))}) == (
        ACS,
        {LOGOUT.replace("logout", "slo")},
    )


async def test_a_roll_over_of_the_providers_key_needs_no_restart(site: Stage, saml: Saml) -> None:
    new = Answer(signing=Signing(key=pair("next").key, certificate=pair("next").certificate))
    assert "saml_signature_invalid" in (await site.sign_in(new)).text
    both = KEYS + key(pair("next").certificate)
    saml.metadata.write_bytes(provider_metadata(both + SERVICES))
    assert (await site.sign_in(new)).headers["location"] == "/shop?a=1"


async def test_metadata_that_cannot_be_used_changes_nothing(
    site: Stage, saml: Saml, caplog: pytest.LogCaptureFixture
) -> None:
    saml.metadata.write_bytes(b"<html/>")
    assert (await site.sign_in()).headers["location"] == "/shop?a=1"
    saml.metadata.unlink()
    site.http.cookies.clear()
    assert (await site.sign_in(Answer(assertion=Answer().assertion.replace("_assertion", "_2")))).status_code == 303
    assert "the metadata of before holds on" in caplog.text


async def test_metadata_has_an_end(site: Stage, saml: Saml) -> None:
    """Then nobody knows whether its keys are still the provider's."""
    saml.metadata.write_bytes(provider_metadata(KEYS + SERVICES, entity=f'validUntil="{at(60)}"'))
    assert (await site.sign_in()).headers["location"] == "/shop?a=1"
    site.http.cookies.clear()
    site.clock.now += 60
    over = await site.http.get("/.sso/login")
    assert (over.status_code, "provider_outdated" in over.text) == (503, True)


async def test_too_many_at_once_are_told_to_come_again(site: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.sso.saml.reader.MOST", 0)
    busy = await site.http.get("/.sso/login")
    assert (busy.status_code, "sign_in_busy" in busy.text) == (503, True)
