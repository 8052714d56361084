"""What an identity provider does with XML: signs an element, encrypts an assertion."""

from __future__ import annotations

import secrets
from base64 import b64encode

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

from gateway.sso.saml import names
from gateway.sso.saml.names import a, ds, xenc
from gateway.sso.saml.xml import Element

AES_256 = f"{names.ENCRYPTION_11}aes256-gcm"


def encrypted(assertion: Element, certificate: x509.Certificate) -> Element:
    """An EncryptedAssertion for who has the certificate's key: RSA-OAEP with SHA-256, AES-256-GCM."""
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey)
    secret, iv = secrets.token_bytes(32), secrets.token_bytes(12)
    sealed = iv + AESGCM(secret).encrypt(iv, etree.tostring(assertion), None)
    wrapped = key.encrypt(secret, OAEP(MGF1(hashes.SHA256()), hashes.SHA256(), None))
    root = etree.Element(a("EncryptedAssertion"), nsmap={"saml": names.ASSERTION})
    prefixes = {"xenc": names.ENCRYPTION, "xenc11": names.ENCRYPTION_11, "ds": names.SIGNATURE}
    data = etree.SubElement(root, xenc("EncryptedData"), Type=names.ELEMENT, nsmap=prefixes)
    etree.SubElement(data, xenc("EncryptionMethod"), Algorithm=AES_256)
    inner = etree.SubElement(etree.SubElement(data, ds("KeyInfo")), xenc("EncryptedKey"))
    method = etree.SubElement(inner, xenc("EncryptionMethod"), Algorithm=names.OAEP_11)
    etree.SubElement(method, ds("DigestMethod"), Algorithm=f"{names.ENCRYPTION}sha256")
    mask = f"{names.ENCRYPTION_11}mgf1sha256"
    etree.SubElement(method, f"{{{names.ENCRYPTION_11}}}MGF", Algorithm=mask)
    for element, octets in ((inner, wrapped), (data, sealed)):
        value = etree.SubElement(etree.SubElement(element, xenc("CipherData")), xenc("CipherValue"))
        value.text = b64encode(octets).decode("ascii")
    return root
