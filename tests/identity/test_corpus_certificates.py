"""The corpus of certificates: of the right issuer, and still refused, cheaply and with one line in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rigs.issuers import DAY, Issuer, usage

from gateway.errors import GatewayError
from gateway.identity.passport import Passport
from gateway.model import Application, ClientCertificates, NamedBy

from .conftest import NOW, Ask, Clock

CPU = 0.005  # seconds that one bad request may take
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
DEVICES = (Application(name="pump", plans=(), certificates={"devices": ("pump.example.com", "*.pumps.example.com")}),)

Change = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]


@pytest.fixture(scope="module")
def ca() -> Issuer:
    return Issuer(now=NOW)


def made(
    ca: Issuer,
    change: Change = lambda builder: builder,
    *,
    dns: tuple[str, ...] = ("pump.example.com",),
    key: Any = None,
    by: Any = None,
    uses: tuple[str, ...] = ("digital_signature",),
) -> bytes:
    """A good certificate but for what is given."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pump")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(ca.name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(ca.now - DAY).not_valid_after(ca.now + 7 * DAY)
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in dns]), False)
    if uses:
        builder = builder.add_extension(usage(*uses), critical=True)
    return change(builder).sign(by or ca.key, hashes.SHA256()).public_bytes(Encoding.DER)


def extended(extension: Any, *, critical: bool = True) -> Change:
    return lambda builder: builder.add_extension(extension, critical)


def in_time(since: timedelta, until: timedelta) -> Callable[[Issuer], bytes]:
    def make(ca: Issuer) -> bytes:
        one = ca.issue("pump", dns=["pump.example.com"], since=since / DAY, days=until / DAY)
        return one.der

    return make


VERSION = bytes.fromhex("a003020102")  # 3
X25519 = bytes.fromhex("06032b656e")


def strange(ca: Issuer) -> bytes:
    """Well signed, of a key by an algorithm that nobody has."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pump")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(ca.name).serial_number(7)
    builder = builder.public_key(x25519.X25519PrivateKey.generate().public_key())
    issued = builder.not_valid_before(ca.now - DAY).not_valid_after(ca.now + DAY).sign(ca.key, hashes.SHA256())
    signed = issued.tbs_certificate_bytes.replace(X25519, X25519[:-1] + b"\x63")
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    return der(0x30, signed + algorithm + der(3, b"\0" + ca.key.sign(signed, ec.ECDSA(hashes.SHA256()))))


def der(tag: int, content: bytes) -> bytes:
    """X.690 8.1."""
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


SECOND = timedelta(seconds=1)
UNTRUSTED = {
    "of a key by DSA": lambda ca: made(ca, key=dsa.generate_private_key(1024)),
    "of a curve that is too small": lambda ca: made(ca, key=ec.generate_private_key(ec.SECP192R1())),
    "of a curve of others": lambda ca: made(ca, key=ec.generate_private_key(ec.SECP256K1())),
    "of a small RSA key": lambda ca: made(ca, key=rsa.generate_private_key(65537, 1024)),
    "by another key of the same name": lambda ca: made(ca, by=ec.generate_private_key(ec.SECP256R1())),
    "of another CA of the same name": lambda ca: Issuer(now=NOW).issue("pump", dns=["pump.example.com"]).der,
    "with an extension that must be understood": lambda ca: made(ca, extended(UNKNOWN)),
    "of a CA": lambda ca: made(ca, extended(x509.BasicConstraints(ca=True, path_length=0))),
    "the CA's own": lambda ca: ca.certificate.public_bytes(Encoding.DER),
    "for servers": lambda ca: made(ca, extended(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]))),
    "for stamps of time": lambda ca: made(ca, extended(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]))),
    "of a version that there is not": lambda ca: made(ca).replace(VERSION, VERSION[:-1] + b"\x43", 1),
    "of a key of no known kind": strange,
    "changed in its last octet": lambda ca: made(ca)[:-1] + bytes([made(ca)[-1] ^ 1]),
    "cut off": lambda ca: made(ca)[:-1],
    "with something behind": lambda ca: made(ca) + b"\0",
    "twice": lambda ca: made(ca) * 2,
    "in PEM": lambda ca: ca.pem,
    "nothing": lambda ca: b"",
    "rubbish": lambda ca: b"\x30\x80" * 5_000,
    "huge": lambda ca: made(ca, extended(x509.UnrecognizedExtension(UNKNOWN.oid, b"a" * 1_000_000), critical=False)),
}
UNNAMED = {
    "without a name": lambda ca: made(ca, dns=()),
    "with an empty name": lambda ca: made(ca, dns=("",)),
    "with a NUL in its name": lambda ca: made(ca, dns=("pump.example.com\0.evil.example",)),
    "with a line break in its name": lambda ca: made(ca, dns=("pump.example.com\r\nX-Admin: 1",)),
    "with a name too long": lambda ca: made(ca, dns=("a" * 256,)),
}
NOBODYS = {
    "for all names below": ("*.example.com",),
    "for all names": ("*",),
    "with a dot behind": ("pump.example.com.",),
    "with a blank before": (" pump.example.com",),
    "below the name": ("a.pump.example.com",),
    "that begins alike": ("pump.example.com.evil.example",),
    "that ends alike": ("evilpumps.example.com",),
    "that looks alike": ("xn--pmp-3na.example.com",),
}
CASES = [
    *((name, make, "certificate_untrusted") for name, make in UNTRUSTED.items()),
    *((name, make, "certificate_unnamed") for name, make in UNNAMED.items()),
    ("ended a second ago", in_time(-DAY, -SECOND), "certificate_expired"),
    ("begins in a second", in_time(SECOND, DAY), "certificate_not_yet_valid"),
]


@pytest.fixture
def passport(tmp_path: Path, ca: Issuer, clock: Clock) -> Passport:
    (tmp_path / "ca.pem").write_bytes(ca.pem)
    devices = ClientCertificates(name="devices", ca=tmp_path / "ca.pem", named_by=NamedBy.SAN_DNS)
    return Passport({}, DEVICES, certificates={"devices": devices}, clock=clock)


@pytest.mark.parametrize(("make", "code"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_certificate_of_the_corpus(make, code, passport, ca, service, caplog) -> None:
    caplog.set_level(logging.INFO)
    asked, protected = Ask(certificate=make(ca)), service({"certificate": "devices"})
    costs = []
    for _ in range(3):
        begun = time.thread_time()
        with pytest.raises(GatewayError) as refused:
            passport.identify(protected, asked, print)
        costs.append(time.thread_time() - begun)
    assert (refused.value.status, refused.value.code) == (401, code)
    assert [record.code for record in caplog.records] == [code]
    assert min(costs) <= CPU


@pytest.mark.parametrize("names", NOBODYS.values(), ids=NOBODYS)
def test_a_name_is_the_whole_name(names, passport, ca, service) -> None:
    """Trusted, and no application's: the gate says 403."""
    identity = passport.identify(service({"certificate": "devices"}), Ask(certificate=made(ca, dns=names)), print)
    assert identity is not None
    assert identity.application is None


@given(st.lists(st.tuples(st.integers(0, 600), st.binary(max_size=3)), min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_nothing_but_a_decided_refusal_comes_of_changed_octets(passport, ca, service, changes) -> None:
    good = made(ca)
    octets = bytearray(good)
    for place, other in changes:
        octets[place : place + len(other)] = other
    if bytes(octets) == good:
        return
    with pytest.raises(GatewayError) as refused:
        passport.identify(service({"certificate": "devices"}), Ask(certificate=bytes(octets)), print)
    assert refused.value.status == 401


@pytest.mark.parametrize("names", [("pump.example.com",), ("PUMP.example.com",), ("1.pumps.example.com", "x.example")])
def test_a_good_one(names, passport, ca, service) -> None:
    keys = (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1()))
    for key in (None, *keys, ed25519.Ed25519PrivateKey.generate()):
        certificate = made(ca, dns=names, key=key)
        identity = passport.identify(service({"certificate": "devices"}), Ask(certificate=certificate), print)
        assert identity is not None
        assert identity.application == "pump"
