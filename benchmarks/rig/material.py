"""What all contestants share: certificates, the token and its keys, the files made from `conf/`."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import time
import uuid
from pathlib import Path
from string import Template

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CONF = Path(__file__).parent / "conf"
LIMIT = 1_000_000_000  # per minute: counted by all, reached by none
BODY = "x" * 512
LIFETIME = 7 * 86400  # seconds of a token: longer than any soak
LARGE = 1024 * 1024  # bytes of /api/v1/items/large


class Text(Template):
    """`@{name}` is replaced: what nginx, YAML and Lua write with `$` stays."""

    delimiter = "@"


def render(name: str, to: Path, values: dict[str, str]) -> None:
    to.write_text(Text((CONF / name).read_text()).substitute(values))


def write_certificates(folder: Path) -> None:
    """ca.pem; for `upstream` and `gateway` NAME.pem, NAME.key and NAME-both.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Benchmark CA")])
    root = _builder(name, name, key).add_extension(x509.BasicConstraints(True, 0), True).sign(key, hashes.SHA256())
    (folder / "ca.pem").write_bytes(root.public_bytes(Encoding.PEM))
    _write_leaf(folder, "upstream", ExtendedKeyUsageOID.SERVER_AUTH, root, key)
    _write_leaf(folder, "gateway", ExtendedKeyUsageOID.CLIENT_AUTH, root, key)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )


def _write_leaf(
    folder: Path, name: str, usage: x509.ObjectIdentifier, root: x509.Certificate, signer: ec.EllipticCurvePrivateKey
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}.test")])
    names = [x509.DNSName(f"{name}.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    leaf = (
        _builder(subject, root.subject, key)
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(x509.SubjectAlternativeName(names), False)
        .add_extension(x509.ExtendedKeyUsage([usage]), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
        .sign(signer, hashes.SHA256())
    )
    certificate, private = leaf.public_bytes(Encoding.PEM), _private(key)
    (folder / f"{name}.pem").write_bytes(certificate)
    (folder / f"{name}.key").write_bytes(private)
    (folder / f"{name}-both.pem").write_bytes(certificate + private)


def _private(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Mint:
    """Signs tokens of a Keycloak service account's size and shape. `published` is what the provider tells."""

    def __init__(self, folder: Path, issuer: str) -> None:
        """Writes token.pub."""
        self._issuer = issuer
        self._made: dict[int, str] = {}
        self._key = key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / "token.pub").write_bytes(public)
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
        jwks = {"keys": [{**jwk, "kid": "bench", "alg": "RS256", "use": "sig"}]}
        algorithms = ["RS256"]
        discovery = {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/certs",
            "id_token_signing_alg_values_supported": algorithms,
        }
        self.published = {"jwks": json.dumps(jwks), "discovery": json.dumps(discovery)}

    def token(self, application: int = 1) -> str:
        """For the client of one application, from 1."""
        if application not in self._made:
            claims = _claims(self._issuer, f"bench-app-{application:04d}")
            self._made[application] = jwt.encode(claims, self._key, "RS256", headers={"kid": "bench"})
        return self._made[application]


def _claims(issuer: str, client: str) -> dict[str, object]:
    now = int(time.time())
    return {
        "exp": now + LIFETIME,
        "iat": now,
        "jti": str(uuid.uuid4()),
        "iss": issuer,
        "aud": "account",
        "sub": str(uuid.uuid4()),
        "typ": "Bearer",
        "azp": client,
        "acr": "1",
        "realm_access": {"roles": ["default-roles-bench", "offline_access"]},
        "scope": "profile email",
        "clientHost": "10.0.0.1",
        "preferred_username": "service-account-bench-app",
    }
