"""Folders of plans, and the certificates that some name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from corpus.saml.metadata import provider_metadata
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

Write = Callable[..., Path]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, the gateway's certificate and key, and files that are not what they should be."""
    folder = tmp_path_factory.mktemp("certs")
    ca = trustme.CA()
    gateway, other = ca.issue_cert("gateway.internal"), ca.issue_cert("other.internal")
    ca.cert_pem.write_to_path(folder / "ca.pem")
    gateway.cert_chain_pems[0].write_to_path(folder / "gateway.pem")
    gateway.private_key_pem.write_to_path(folder / "gateway.key")
    other.private_key_pem.write_to_path(folder / "other.key")
    key = load_pem_private_key(gateway.private_key_pem.bytes(), password=None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2"))
    (folder / "encrypted.key").write_bytes(encrypted)
    (folder / "empty.pem").write_bytes(b"")
    write_pair(folder, "weak", bits=1024)  # which OpenSSL does not use
    write_pair(folder, "nameless")
    write_pair(folder, "expired", datetime(2020, 1, 1, tzinfo=UTC))
    write_pair(folder, "early", datetime(2999, 1, 1, tzinfo=UTC))
    return folder


@pytest.fixture(scope="session")
def saml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Metadata of identity providers: a plain one, one that wants signed requests, and one whose time is over."""
    folder = tmp_path_factory.mktemp("saml")
    (folder / "idp.xml").write_bytes(provider_metadata())
    (folder / "strict.xml").write_bytes(provider_metadata(role='WantAuthnRequestsSigned="true"'))
    (folder / "expired.xml").write_bytes(provider_metadata(entity='validUntil="2020-01-01T00:00:00Z"'))
    return folder


def write_pair(folder: Path, name: str, start: datetime | None = None, bits: int = 2048) -> None:
    """A certificate without alternative names, for a day, and its RSA key."""
    key = rsa.generate_private_key(65537, bits)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{name}.internal")])
    start = start or datetime.now(UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, start, start + timedelta(days=1))
    (folder / f"{name}.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture
def place(tmp_path: Path, certificates: Path, saml: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: an empty folder `plans`, beside it certificates and metadata."""
    (tmp_path / "plans").mkdir()
    (tmp_path / "certs").symlink_to(certificates)
    (tmp_path / "saml").symlink_to(saml)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(place: Path) -> Write:
    """Puts text into files of the folder `plans`: `write("…")`, `write(a="…", b="…")`; returns the folder."""

    def write(text: str = "", **files: str) -> Path:
        for name, content in ({"plans": text} if text else {} | files).items():
            (place / "plans" / f"{name}.yaml").write_text(content)
        return Path("plans")

    return write
