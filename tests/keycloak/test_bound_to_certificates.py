"""Tokens that Keycloak binds to a client's certificate (RFC 8705), at a gateway that is told of certificates."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.devkit.certificates import Pair, client_context

from .realms import Admin, Realm, client
from .server import Server
from .stage import Service, code, gateway_before

pytestmark = [
    pytest.mark.keycloak,
    pytest.mark.timeout(120, func_only=True),
    pytest.mark.asyncio(loop_scope="module"),
]
TOLD = "memory\n  trusted_proxies: [127.0.0.0/8]\n  client_certificate: client_cert"
BOUND = client("mobile-app", audience="gateway", tls__client__certificate__bound__access__tokens="true")


def der(keycloak: Server, name: str) -> bytes:
    pem = Pair.at(keycloak.certificates, name).cert.read_bytes()
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def realm(admin: Admin, keycloak: Server) -> Iterator[Realm]:
    """As a client sees it that shows a certificate."""
    secret = admin.create_realm("certificates", BOUND).secret
    tls = client_context(keycloak.certificates / "ca.pem", Pair.at(keycloak.certificates, "gateway"))
    with httpx2.Client(verify=tls, timeout=60) as http:
        shown = Admin(keycloak.tls_url, keycloak.username, keycloak.password, http)
        yield Realm(shown, "certificates", secret)


async def test_a_token_is_good_with_the_certificate_alone(
    realm: Realm, keycloak: Server, orders: Service, tmp_path: Path
) -> None:
    token, mine = realm.token("mobile-app"), der(keycloak, "gateway")
    digest = urlsafe_b64encode(sha256(mine).digest()).rstrip(b"=").decode()
    assert token.claims["cnf"] == {"x5t#S256": digest}
    ca = f"'{keycloak.certificates / 'ca.pem'}'"
    async with gateway_before(orders, realm, tmp_path, TOLD, ca=ca) as gateway:
        assert code(await gateway.get(token)) == (401, "token_certificate_missing")
        other = f":{b64encode(der(keycloak, 'orders')).decode()}:"
        assert code(await gateway.get(token, Client_Cert=other)) == (401, "token_certificate_wrong")
        assert (await gateway.get(token, Client_Cert=f":{b64encode(mine).decode()}:")).status_code == 200
