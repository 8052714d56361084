"""Those who issue clients' certificates, as freely as a test needs it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
_USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


def usage(*uses: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in uses for use in _USES})


class Issuer:
    """A CA at a moment; `below` makes it an intermediate one."""

    def __init__(self, name: str = "devices", *, now: float, below: Issuer | None = None, ca: bool = True) -> None:
        self.now = datetime.fromtimestamp(now, UTC)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        above = below or self
        builder = above._builder(self.name, self.key.public_key(), 30 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        self.certificate = builder.sign(above.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(self, cn: str | Sequence[str] = "device", *, key: Any = None, days: float = 7, **more: Any) -> Issued:
        """`uris`, `dns`: alternative names. `uses`: of its key; `purpose`: its extended usage; `since`: in days."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.COMMON_NAME, text) for text in ([cn] if isinstance(cn, str) else cn)]
        builder = self._builder(x509.Name(names), key.public_key(), days * DAY, more.get("since", -1) * DAY)
        uris, dns = more.get("uris", ()), more.get("dns", ())
        if alternative := [*map(x509.UniformResourceIdentifier, uris), *map(x509.DNSName, dns)]:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        if uses := more.get("uses", ("digital_signature",)):
            builder = builder.add_extension(usage(*uses), critical=True)
        if (purpose := more.get("purpose", ExtendedKeyUsageOID.CLIENT_AUTH)) is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        return Issued(builder.sign(self.key, hashes.SHA256()), key)

    def revoked(self, *certificates: Issued, days: float = 7) -> bytes:
        """A list of them, in PEM, good for so many days."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(self.now - 30 * DAY)
        builder = builder.next_update(self.now + days * DAY)
        for issued in certificates:
            entry = x509.RevokedCertificateBuilder().serial_number(issued.certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(self.now - DAY).build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _builder(
        self, subject: x509.Name, key: Any, lifetime: timedelta, since: timedelta = -DAY
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now + since)
            .not_valid_after(self.now + lifetime)
        )


class Issued:
    """A certificate and its key."""

    def __init__(self, certificate: x509.Certificate, key: Any) -> None:
        self.certificate = certificate
        self.key = key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def write(self, folder: Path, name: str) -> Path:
        """A file with both, for a client's TLS context."""
        path = folder / f"{name}.pem"
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM) + key)
        return path
