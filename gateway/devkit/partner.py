"""The SAML provider of `gateway dev`, ready for a gateway that calls it `partner`."""

from __future__ import annotations

import contextlib
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.devkit.saml import Registered, SamlProvider, demo_users, new_pair
from gateway.devkit.saml_app import saml_app
from gateway.devkit.servers import HOST, listener_near, port_of, serving
from gateway.sso.saml.entities import KeyPair

PORT = 8181
NAME = "partner"


async def start_partner(stack: contextlib.AsyncExitStack, folder: Path, gateway: str) -> SamlProvider:
    """Until the stack unwinds. Its metadata and the key of the gateway (at this URL) are in the folder then: idp.xml,
    sp.pem, sp.key.
    """
    sock = listener_near(PORT)
    provider = SamlProvider(f"http://{HOST}:{port_of(sock)}/realms/{NAME}", demo_users(), encrypts=True)
    pair = new_pair("gateway")
    write_files(folder, provider, pair)
    here = f"{gateway}/.sso/{NAME}"
    provider.gateways[f"urn:plangate:{NAME}"] = Registered(
        acs=f"{here}/acs", logout=f"{here}/slo", certificate=pair.certificate
    )
    await stack.enter_async_context(serving(saml_app(provider), sock))
    return provider


def write_files(folder: Path, provider: SamlProvider, pair: KeyPair) -> None:
    """What the gateway's plans name; the key is readable by this user alone."""
    folder.mkdir(exist_ok=True)
    (folder / "idp.xml").write_bytes(provider.metadata())
    (folder / "sp.pem").write_bytes(pair.certificate.public_bytes(Encoding.PEM))
    key = folder / "sp.key"
    key.touch(mode=0o600)
    key.write_bytes(pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
