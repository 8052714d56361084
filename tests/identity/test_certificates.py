"""Clients' certificates: whom they name, and which are refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from rigs.issuers import Issued, Issuer

from gateway.errors import GatewayError, Unavailable
from gateway.identity.api_keys import create
from gateway.identity.passport import Passport
from gateway.identity.revocations import KEY
from gateway.model import ApiKey, Application, ClientCertificates, Identity, NamedBy, Rate
from gateway.store.marks import MemoryMarks

from .conftest import NOW, Ask, Clock

DEVICES = {"certificate": "devices"}
SPIFFE = "spiffe://prod.example.com/ns/web/pump"
APPLICATIONS = (
    Application(name="pump", plans=("gold",), certificates={"devices": (SPIFFE, "pump", "pump.example.com")}),
    Application(name="web", plans=("gold",), certificates={"devices": ("spiffe://prod.example.com/ns/web/*",)}),
    Application(name="other", plans=("gold",), certificates={"partners": ("pump",), "devices": ("CN=other",)}),
)

Passports = Callable[..., Passport]


@pytest.fixture(scope="module")
def ca() -> Issuer:
    return Issuer(now=NOW)


@pytest.fixture
def passports(tmp_path: Path, ca: Issuer, clock: Clock) -> Passports:
    """A passport that accepts certificates of `ca`, or of the issuers in `pem`. More are keys of ClientCertificates."""

    def make(named_by: NamedBy = NamedBy.SUBJECT_CN, *, crl: bytes | None = None, **more: Any) -> Passport:
        tolerance, applications = more.pop("tolerance", None), more.pop("applications", APPLICATIONS)
        marks = more.pop("marks", None)
        (tmp_path / "ca.pem").write_bytes(more.pop("pem", ca.pem))
        if crl is not None:
            (tmp_path / "ca.crl").write_bytes(crl)
            more["crl"] = tmp_path / "ca.crl"
        devices = ClientCertificates(name="devices", ca=tmp_path / "ca.pem", named_by=named_by, **more)
        return Passport(
            {}, applications, certificates={"devices": devices}, tolerance=tolerance, clock=clock, marks=marks
        )

    return make


@pytest.fixture
def shown(service: Callable[..., Any]) -> Callable[..., Identity]:
    """Who an issued certificate proves at a service that accepts `devices`."""
    of = service(DEVICES)

    def ask(passport: Passport, issued: Issued) -> Identity:
        identity = passport.identify(of, Ask(certificate=issued.der), print)
        assert identity is not None
        return identity

    return ask


def code_of(shown: Callable[..., Identity], passport: Passport, issued: Issued) -> tuple[int, str]:
    with pytest.raises(GatewayError) as refused:
        shown(passport, issued)
    return refused.value.status, refused.value.code


# --- whom they name


@pytest.mark.parametrize(
    ("named_by", "issued", "subject", "application"),
    [
        (NamedBy.SUBJECT_CN, {"cn": "pump"}, "pump", "pump"),
        (NamedBy.SUBJECT, {"cn": "other"}, "CN=other", "other"),
        (NamedBy.SAN_DNS, {"dns": ["PUMP.example.com"]}, "pump.example.com", "pump"),
        (NamedBy.SAN_DNS, {"dns": ["a.example.com", "pump.example.com"]}, "a.example.com", "pump"),
        (NamedBy.SAN_URI, {"uris": [SPIFFE]}, SPIFFE, "pump"),
        (NamedBy.SAN_URI, {"uris": ["spiffe://prod.example.com/ns/web/7/8"]}, None, "web"),
        (NamedBy.SAN_URI, {"uris": ["spiffe://prod.example.com/ns/shop"]}, None, None),
        (NamedBy.SUBJECT_CN, {"cn": "stranger", "dns": ["pump.example.com"]}, "stranger", None),
    ],
)
def test_a_certificate_names_its_application(passports, shown, ca, named_by, issued, subject, application):
    passport, certificate = passports(named_by), ca.issue(**issued)
    identity = shown(passport, certificate)
    assert identity.application == application
    assert identity.subject == f"certificate:{subject or issued['uris'][0]}"
    assert (identity.client_id, identity.proof) == (None, ("certificate:devices",))
    assert identity.expires == certificate.certificate.not_valid_after_utc.timestamp()
    assert shown(passport, certificate) is identity


@pytest.mark.parametrize(
    ("named_by", "issued"),
    [
        (NamedBy.SAN_URI, {"dns": ["pump.example.com"]}),
        (NamedBy.SAN_DNS, {"uris": [SPIFFE]}),
        (NamedBy.SUBJECT_CN, {"cn": ["pump", "pump"]}),
        (NamedBy.SUBJECT_CN, {"cn": []}),
        (NamedBy.SUBJECT_CN, {"cn": "pump\n"}),
        (NamedBy.SUBJECT, {"cn": []}),
    ],
)
def test_one_that_names_nobody_is_refused(passports, shown, ca, named_by, issued):
    assert code_of(shown, passports(named_by), ca.issue(**issued)) == (401, "certificate_unnamed")


def test_one_that_names_two_applications_is_refused(passports, shown, ca):
    issued = ca.issue(uris=[SPIFFE, "spiffe://prod.example.com/ns/web/7"])
    assert code_of(shown, passports(NamedBy.SAN_URI), issued) == (403, "credentials_differ")


@pytest.mark.parametrize(
    ("uris", "more"),
    [
        (["https://prod.example.com/ns/web/pump"], {}),
        (["spiffe://prod.example.com"], {}),
        (["spiffe://prod.example.com/"], {}),
        (["spiffe://prod.example.com/ns/"], {}),
        (["spiffe://prod.example.com/ns//web"], {}),
        (["spiffe://prod.example.com/ns/../web"], {}),
        (["spiffe://prod.example.com/ns/./web"], {}),
        (["spiffe://prod.example.com:8443/ns"], {}),
        (["spiffe://PROD.example.com/ns"], {}),
        (["SPIFFE://prod.example.com/ns"], {}),
        (["spiffe://prod.example.com/ns?x"], {}),
        (["spiffe://prod.example.com/n%73"], {}),
        (["spiffe://other.example.com/ns"], {}),
        ([SPIFFE, "spiffe://prod.example.com/second"], {}),
        ([SPIFFE, "https://other.example.com"], {}),
        ([], {}),
        ([SPIFFE], {"uses": ()}),
        ([SPIFFE], {"uses": ("key_agreement",)}),
        ([SPIFFE], {"uses": ("digital_signature", "key_cert_sign")}),
    ],
)
def test_what_is_no_svid_of_the_trust_domain(passports, shown, ca, uris, more):
    passport = passports(NamedBy.SAN_URI, spiffe="prod.example.com")
    assert code_of(shown, passport, ca.issue(uris=uris, **more)) == (401, "certificate_unnamed")


def test_an_svid_of_any_trust_domain(passports, shown, ca):
    passport = passports(NamedBy.SAN_URI, spiffe="")
    assert shown(passport, ca.issue(uris=["spiffe://other.example.com/ns"])).application is None
    assert shown(passport, ca.issue(uris=[SPIFFE])).application == "pump"


# --- which are trusted


def test_a_certificate_of_another_issuer_is_refused_though_the_listener_took_it(passports, shown, ca, caplog):
    caplog.set_level(logging.INFO)
    same_name = Issuer(now=NOW)
    assert code_of(shown, passports(), same_name.issue("pump")) == (401, "certificate_untrusted")
    assert "of no issuer that is accepted here" in caplog.text


def test_an_intermediate_issuer_is_trusted_with_its_certificate(passports, shown, ca):
    below = Issuer("below", now=NOW, below=ca)
    assert code_of(shown, passports(), below.issue("pump")) == (401, "certificate_untrusted")
    assert shown(passports(pem=ca.pem + below.pem), below.issue("pump")).application == "pump"


def test_who_is_no_authority_issues_nothing(passports, shown, ca):
    device = Issuer("device", now=NOW, below=ca, ca=False)
    assert code_of(shown, passports(pem=ca.pem + device.pem), device.issue("pump")) == (401, "certificate_untrusted")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"days": -0.5}, "certificate_expired"),
        ({"since": 1}, "certificate_not_yet_valid"),
        ({"purpose": ExtendedKeyUsageOID.SERVER_AUTH}, "certificate_untrusted"),
        ({"key": rsa.generate_private_key(65537, 1024)}, "certificate_untrusted"),
    ],
)
def test_what_is_refused(passports, shown, ca, more, code):
    assert code_of(shown, passports(), ca.issue("pump", **more)) == (401, code)


@pytest.mark.parametrize("purpose", [None, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
def test_a_certificate_for_any_purpose_serves(passports, shown, ca, purpose):
    assert shown(passports(), ca.issue("pump", purpose=purpose)).application == "pump"


def test_what_is_no_certificate(passports, service):
    with pytest.raises(GatewayError) as refused:
        passports().identify(service(DEVICES), Ask(certificate=b"0\x82"), print)
    assert refused.value.code == "certificate_untrusted"


def test_a_certificate_ends_though_it_was_recognised(passports, shown, ca, clock):
    passport, issued = passports(), ca.issue("pump", days=0.5)
    shown(passport, issued)
    clock.now += 43_201
    assert code_of(shown, passport, issued) == (401, "certificate_expired")


def test_an_issuer_that_ends_takes_its_certificates_along(passports, shown, ca, clock):
    passport, issued = passports(), ca.issue("pump", days=60)
    shown(passport, issued)
    clock.now += 31 * 86_400
    assert code_of(shown, passport, issued) == (401, "certificate_untrusted")


def test_a_flood_of_refused_ones_is_not_looked_at(passports, shown, ca):
    passport, good = passports(tolerance=Rate(2, 60)), ca.issue("pump")
    shown(passport, good)
    stranger = Issuer(now=NOW)
    codes = [code_of(shown, passport, stranger.issue("pump"))[1] for _ in range(3)]
    assert codes == ["certificate_untrusted", "certificate_untrusted", "too_many_refusals"]
    assert shown(passport, good).application == "pump"


# --- which were taken back


def test_a_certificate_that_was_taken_back_is_refused(passports, shown, ca):
    good, bad = ca.issue("pump"), ca.issue("pump")
    passport = passports(crl=ca.revoked(bad))
    assert shown(passport, good).application == "pump"
    assert code_of(shown, passport, bad) == (401, "certificate_revoked")


def test_a_new_list_holds_within_a_second_for_known_ones_too(passports, shown, ca, clock, tmp_path):
    issued = ca.issue("pump")
    passport = passports(crl=ca.revoked())
    shown(passport, issued)
    replace(tmp_path / "ca.crl", ca.revoked(issued))
    clock.now += 1
    assert code_of(shown, passport, issued) == (401, "certificate_revoked")


def test_an_unusable_list_keeps_the_last_good_one(passports, shown, ca, clock, tmp_path, caplog):
    issued, bad = ca.issue("pump"), ca.issue("pump")
    passport = passports(crl=ca.revoked(bad))
    for content in (b"rubbish", Issuer(now=NOW).revoked()):
        replace(tmp_path / "ca.crl", content)
        clock.now += 1
        assert shown(passport, issued).application == "pump"
        assert code_of(shown, passport, bad) == (401, "certificate_revoked")
    assert caplog.text.count("the old ones stay") == 2


def test_a_list_that_is_out_of_date_lets_nobody_in(passports, shown, ca, clock):
    passport, issued = passports(crl=ca.revoked(days=2)), ca.issue("pump")
    shown(passport, issued)
    clock.now += 2 * 86_400 + 1
    with pytest.raises(Unavailable) as refused:
        shown(passport, issued)
    assert (refused.value.status, refused.value.code) == (503, "identity_unavailable")


def test_a_list_of_another_issuer_lets_nobody_in(passports, shown, ca):
    below = Issuer("below", now=NOW, below=ca)
    passport = passports(pem=ca.pem + below.pem, crl=ca.revoked())
    assert shown(passport, ca.issue("pump")).application == "pump"
    assert code_of(shown, passport, below.issue("pump")) == (503, "identity_unavailable")


async def test_an_operator_may_take_one_back_too_and_give_it_again(passports, shown, ca, clock):
    marks = MemoryMarks(clock, lambda row: None)
    good, bad = ca.issue("pump"), ca.issue("pump")
    passport = passports(marks=marks)
    shown(passport, bad)
    fingerprint = "sha256:" + bad.certificate.fingerprint(hashes.SHA256()).hex()
    await marks.set(KEY, fingerprint)
    assert code_of(shown, passport, bad) == (401, "certificate_revoked")
    assert shown(passport, good).application == "pump"
    await marks.clear(KEY, fingerprint)
    assert shown(passport, bad).application == "pump"
    await marks.set(KEY, fingerprint, repr(NOW + 60))
    assert shown(passport, bad).application == "pump"
    clock.now += 60
    assert code_of(shown, passport, bad) == (401, "certificate_revoked")


def test_while_it_is_not_known_what_was_revoked_nobody_can_say(passports, shown, ca, clock):
    marks = MemoryMarks(clock, lambda row: None)
    marks.known = False
    assert code_of(shown, passports(marks=marks), ca.issue("pump")) == (503, "identity_unavailable")


def replace(path: Path, content: bytes) -> None:
    """In one step, as a deployment does."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


# --- with other credentials


def test_who_shows_none_is_told_that_one_is_wanted(passports, service):
    with pytest.raises(GatewayError) as refused:
        passports().identify(service(DEVICES), Ask(), print)
    assert (refused.value.status, refused.value.code) == (401, "credentials_missing")
    assert refused.value.challenges == ('Certificate realm="orders"',)


def test_a_certificate_beside_a_key_must_be_of_the_same_application(passports, service, ca):
    mine, others = create(), create()
    applications = (
        Application(name="pump", plans=(), certificates={"devices": ("pump",)}, api_keys=(ApiKey(mine.digest),)),
        Application(name="web", plans=(), api_keys=(ApiKey(others.digest),)),
    )
    passport, both = passports(applications=applications), service({**DEVICES, "api_key": ("header", "X-Api-Key")})
    pump = ca.issue("pump").der

    def identified(key: str, certificate: bytes | None) -> Identity | None:
        return passport.identify(both, Ask([(b"x-api-key", key.encode())], certificate=certificate), print)

    identity = identified(mine.key, pump)
    assert identity is not None
    assert (identity.application, set(identity.proof)) == (
        "pump",
        {"certificate:devices", f"api_key:{mine.digest[7:19]}"},
    )
    with pytest.raises(GatewayError, match="different applications"):
        identified(others.key, pump)
    with pytest.raises(GatewayError, match="credentials are required"):
        identified(mine.key, None)


async def test_a_certificate_beside_a_token(opened, issuer, service, ca, tmp_path, clock):
    (tmp_path / "ca.pem").write_bytes(ca.pem)
    devices = ClientCertificates(name="devices", ca=tmp_path / "ca.pem", named_by=NamedBy.SUBJECT_CN)
    async with opened() as plain:
        passport = Passport(
            {name: provider._oidc for name, provider in plain._providers.items()},
            APPLICATIONS,
            certificates={"devices": devices},
            before=plain,
            clock=clock,
        )
        both = service({"jwt": "keycloak", **DEVICES})
        asked = Ask.bearing(issuer.token())
        asked.certificate = ca.issue("stranger").der
        identity = passport.identify(both, asked, print)
        assert identity is not None
        assert (identity.subject, identity.client_id, identity.application) == ("4f1c", "mobile-app", None)
        assert passport.identify(both, asked, print) is identity
        await asyncio.sleep(0)
