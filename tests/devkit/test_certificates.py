"""Certificates: what they are good for, whom they name, when they are made anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Use
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from gateway.devkit.certificates import LIFETIME, Authority, Pair, ensure_certificates


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder_holds_the_authority_and_three_pairs(certificates: Path) -> None:
    assert sorted(path.name for path in certificates.iterdir()) == [
        "ca.pem", "gateway.key", "gateway.pem", "orders.key", "orders.pem", "stock.key", "stock.pem",
        "web.key", "web.pem",
    ]  # fmt: skip


def test_keys_are_their_owners_alone(certificates: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in certificates.glob("*.key")} == {0o600}


@pytest.mark.parametrize("server", ["orders", "stock"])
def test_a_servers_certificate_names_it_and_the_loopback_address(certificates: Path, server: str) -> None:
    certificate = read(certificates / f"{server}.pem")
    assert names(certificate).get_values_for_type(x509.DNSName) == [f"{server}.internal"]
    assert names(certificate).get_values_for_type(x509.IPAddress) == [IPv4Address("127.0.0.1")]
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [Use.SERVER_AUTH]


def test_the_gateways_certificate_is_for_a_client(certificates: Path) -> None:
    certificate = read(certificates / "gateway.pem")
    assert names(certificate).get_values_for_type(x509.DNSName) == ["gateway.internal"]
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [Use.CLIENT_AUTH]


@pytest.mark.parametrize("server", ["orders", "stock"])
def test_a_servers_chain_is_valid_for_its_name_alone(certificates: Path, server: str) -> None:
    policy = PolicyBuilder().store(Store([read(certificates / "ca.pem")]))
    certificate = read(certificates / f"{server}.pem")
    policy.build_server_verifier(x509.DNSName(f"{server}.internal")).verify(certificate, [])
    with pytest.raises(VerificationError):
        policy.build_server_verifier(x509.DNSName("other.internal")).verify(certificate, [])


def test_only_the_gateways_chain_is_valid_for_a_client(certificates: Path) -> None:
    clients = PolicyBuilder().store(Store([read(certificates / "ca.pem")])).build_client_verifier()
    clients.verify(read(certificates / "gateway.pem"), [])
    with pytest.raises(VerificationError):
        clients.verify(read(certificates / "orders.pem"), [])


def test_the_authority_signs_no_other_authority(certificates: Path) -> None:
    constraints = read(certificates / "ca.pem").extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)


def test_a_valid_set_is_kept(tmp_path: Path) -> None:
    before = contents(ensure_certificates(tmp_path))
    assert contents(ensure_certificates(tmp_path)) == before


def test_a_set_about_to_expire_is_made_anew(tmp_path: Path) -> None:
    before = contents(ensure_certificates(tmp_path))
    later = datetime.now(UTC) + LIFETIME - timedelta(hours=12)
    after = contents(ensure_certificates(tmp_path, later))
    assert all(after[name] != before[name] for name in before)
    assert read(tmp_path / "ca.pem").not_valid_after_utc > later + timedelta(days=29)


@pytest.mark.parametrize("name", ["ca.pem", "gateway.key", "orders.pem"])
def test_a_missing_or_broken_file_makes_the_set_anew(tmp_path: Path, name: str) -> None:
    before = contents(ensure_certificates(tmp_path))
    (tmp_path / name).write_text("nonsense")
    broken = contents(ensure_certificates(tmp_path))
    (tmp_path / name).unlink()
    assert before["stock.pem"] != broken["stock.pem"] != contents(ensure_certificates(tmp_path))["stock.pem"]


def test_a_pair_of_another_authority_makes_the_set_anew(tmp_path: Path) -> None:
    before = contents(ensure_certificates(tmp_path))
    foreign = Authority().client("gateway").write(tmp_path, "gateway").cert.read_bytes()
    after = contents(ensure_certificates(tmp_path))
    assert after["gateway.pem"] not in (before["gateway.pem"], foreign)


def test_a_certificate_with_anothers_key_makes_the_set_anew(tmp_path: Path) -> None:
    before = contents(ensure_certificates(tmp_path))
    (tmp_path / "gateway.key").write_bytes(before["stock.key"])
    assert contents(ensure_certificates(tmp_path))["gateway.pem"] != before["gateway.pem"]


def test_an_expired_certificate_can_be_had(tmp_path: Path) -> None:
    pair = Authority().server("orders", lifetime=timedelta(days=-1)).write(tmp_path, "expired")
    assert pair == Pair.at(tmp_path, "expired")
    certificate = read(pair.cert)
    assert certificate.not_valid_before_utc < certificate.not_valid_after_utc < datetime.now(UTC)
