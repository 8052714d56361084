"""The gateway's own keys, from PEM files that were looked at when the plans were loaded."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.model import Certificate, Saml
from gateway.sso.saml.entities import KeyPair, ServiceProvider


def service_provider(saml: Saml) -> ServiceProvider:
    """The gateway as this provider knows it. Raises OSError or ValueError for files that changed for the worse."""
    return ServiceProvider(entity_id=saml.entity_id, pairs=tuple(map(load_pair, saml.pairs)))


def load_pair(files: Certificate) -> KeyPair:
    """Raises OSError or ValueError."""
    key = load_pem_private_key(files.key.read_bytes(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"{files.key}: not an RSA key")
    return KeyPair(key=key, certificate=x509.load_pem_x509_certificates(files.cert.read_bytes())[0])
