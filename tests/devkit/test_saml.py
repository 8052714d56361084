"""The development provider by SAML: what it says is what the gateway takes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest_asyncio
from lxml import etree

from gateway.devkit.partner import start_partner
from gateway.devkit.saml import SamlProvider
from gateway.model import Certificate
from gateway.sso.saml import writing
from gateway.sso.saml.bindings import redirect
from gateway.sso.saml.conditions import Expected
from gateway.sso.saml.files import load_pair
from gateway.sso.saml.metadata import load_metadata
from gateway.sso.saml.response import accept

GATEWAY = "http://127.0.0.1:8080"
SP = "urn:plangate:partner"
ACS = f"{GATEWAY}/.sso/partner/acs"


@pytest_asyncio.fixture
async def partner(tmp_path: Path) -> AsyncIterator[SamlProvider]:
    async with AsyncExitStack() as stack:
        yield await start_partner(stack, tmp_path, GATEWAY)


async def test_its_responses_are_accepted(partner: SamlProvider, tmp_path: Path) -> None:
    pair = load_pair(Certificate(tmp_path / "sp.pem", tmp_path / "sp.key"))
    assert (tmp_path / "sp.key").stat().st_mode & 0o077 == 0
    known = load_metadata(tmp_path / "idp.xml", time.time())
    assert known.entity_id == partner.entity_id
    request = etree.fromstring(writing.octets(writing.authn_request(SP, known.sign_on, ACS, time.time())))
    xml = partner.response(partner.users["ada"], request)
    assert b"EncryptedAssertion" in xml
    on = accept(xml, known, [pair.key], Expected(SP, ACS, request.get("ID")), time.time())
    assert (on.name_id.value, on.values("groups"), on.values("email")) == ("ada", ("staff",), ("ada@partner.example",))


async def test_it_offers_its_users_to_gateways_that_are_registered(partner: SamlProvider, tmp_path: Path) -> None:
    pair = load_pair(Certificate(tmp_path / "sp.pem", tmp_path / "sp.key"))
    request = writing.authn_request(SP, partner.address, ACS, time.time())
    stranger = writing.authn_request("urn:other", partner.address, ACS, time.time())
    async with httpx2.AsyncClient(trust_env=False) as http:
        page = await http.get(redirect(partner.address, "SAMLRequest", writing.octets(request), "state", pair))
        assert all(f'id="{name}"' in page.text for name in ("ada", "bob"))
        for refused in (redirect(partner.address, "SAMLRequest", writing.octets(request), "state", None),
                        redirect(partner.address, "SAMLRequest", writing.octets(stranger), "state", pair)):  # fmt: skip
            assert (await http.get(refused)).status_code == 400
        assert (await http.get(f"{partner.address}/end?user=nobody")).status_code == 404
        ends = await http.get(f"{partner.address}/end?user=ada")
        assert urlsplit(ends.headers["location"]).path == "/.sso/partner/slo"
