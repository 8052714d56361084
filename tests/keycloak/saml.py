"""Keycloak as an identity provider by SAML: descriptor, the gateway registered by its own metadata, people."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from html import unescape
from pathlib import Path

import httpx2
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.devkit.saml import new_pair

from .realms import Admin, Json, Realm

ALICE = {
    "username": "alice",
    "email": "alice@example.com",
    "emailVerified": True,
    "firstName": "Alice",
    "lastName": "Example",
    "realmRoles": ["staff"],
}
GCM = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
OAEP = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
MGF1 = "http://www.w3.org/2009/xmlenc11#mgf1sha256"
PLAIN = {"saml.encrypt": "false"}
ENCRYPTED = {
    "saml.encrypt": "true",
    "saml.encryption.algorithm": GCM,
    "saml.encryption.keyAlgorithm": OAEP,
    "saml.encryption.digestMethod": SHA256,
    "saml.encryption.maskGenerationFunction": MGF1,
}


def saml_realm(admin: Admin, *clients: Json) -> Realm:
    return admin.create_realm(f"saml-{secrets.token_hex(4)}", *clients, roles=["staff"], users=[ALICE])


def files(folder: Path, descriptor: bytes) -> None:
    """What the gateway's plans name: the realm's descriptor, the gateway's key."""
    own = new_pair("gateway")
    (folder / "idp.xml").write_bytes(descriptor)
    (folder / "sp.pem").write_bytes(own.certificate.public_bytes(Encoding.PEM))
    (folder / "sp.key").write_bytes(own.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def register(admin: Admin, realm: Realm, metadata: bytes, *, mappers: Iterable[Json] = (), **attributes: str) -> Json:
    """As *Clients*, *Import client* does with the gateway's metadata; `attributes` are changed afterwards."""
    path = f"realms/{realm.name}"
    client: Json = admin.send("POST", f"{path}/client-description-converter", metadata, "application/xml")
    client["attributes"] |= {name: value for name, value in attributes.items() if "." in name}
    client |= {name: value == "true" for name, value in attributes.items() if "." not in name}
    named = {mapper["name"]: mapper for mapper in (*client.get("protocolMappers", ()), *mappers)}
    client["protocolMappers"] = [*named.values()]
    admin.call("POST", f"{path}/clients", client)
    return client


def broker(admin: Admin, realm: Realm, upstream: Realm) -> None:
    """People of `upstream` may sign in to `realm`, by SAML between the two; their roles come along."""
    path = f"realms/{realm.name}/identity-provider"
    descriptor = {"providerId": "saml", "fromUrl": f"{upstream.issuer}/protocol/saml/descriptor"}
    imported: Json = admin.call("POST", f"{path}/import-config", descriptor)
    strict = {"validateSignature": "true", "wantAuthnRequestsSigned": "true", "wantAssertionsSigned": "true"}
    instance = {"alias": "upstream", "providerId": "saml", "enabled": True, "trustEmail": True}
    admin.call("POST", f"{path}/instances", instance | {"config": imported | strict})
    for name in ("email", "firstName", "lastName"):
        config = {"attribute.name": name, "user.attribute": name, "syncMode": "INHERIT"}
        add_mapper(admin, path, "saml-user-attribute-idp-mapper", name, config)
    config = {"attribute.name": "Role", "attribute.value": "staff", "role": "staff", "syncMode": "INHERIT"}
    add_mapper(admin, path, "saml-role-idp-mapper", "staff", config)
    metadata = admin.http.get(f"{realm.issuer}/broker/upstream/endpoint/descriptor").raise_for_status().content
    register(admin, upstream, metadata, mappers=[property_mapper(name) for name in ("email", "firstName", "lastName")])


def add_mapper(admin: Admin, path: str, kind: str, name: str, config: Json) -> None:
    mapper = {"name": name, "identityProviderAlias": "upstream", "identityProviderMapper": kind, "config": config}
    admin.call("POST", f"{path}/instances/upstream/mappers", mapper)


def property_mapper(name: str) -> Json:
    """An attribute of the assertion from one of the user's own."""
    config = {"user.attribute": name, "attribute.name": name, "attribute.nameformat": "Basic"}
    return {"name": name, "protocol": "saml", "protocolMapper": "saml-user-attribute-mapper", "config": config}


class Page:
    """A page of Keycloak's as a browser without scripts has it."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer

    def form(self) -> tuple[str, dict[str, str]]:
        """Where its form leads, and the hidden fields."""
        text = self.answer.text
        found = re.search(r'<form[^>]*action="([^"]*)"', text, re.IGNORECASE)
        assert found, (self.answer.status_code, self.answer.url, text[:2000])
        fields = re.findall(r'<input[^>]*type="hidden"[^>]*>', text, re.IGNORECASE)
        pairs = [
            (re.search(r'name="([^"]*)"', f, re.IGNORECASE), re.search(r'value="([^"]*)"', f, re.IGNORECASE))
            for f in fields
        ]
        return str(self.answer.url.join(unescape(found[1]))), {
            n[1]: unescape(v[1]) for n, v in pairs if n is not None and v is not None
        }


async def submit(http: httpx2.AsyncClient, answer: httpx2.Response, **filled: str) -> httpx2.Response:
    """Fills a page's form and sends it."""
    action, fields = Page(answer).form()
    return await passed(http, await http.post(action, data=fields | filled))


async def passed(http: httpx2.AsyncClient, answer: httpx2.Response) -> httpx2.Response:
    """Sends forms that a script would send by itself."""
    while 'name="SAML' in answer.text:
        action, fields = Page(answer).form()
        answer = await http.post(action, data=fields)
    return answer


async def sign_in(http: httpx2.AsyncClient, realm: Realm, path: str = "/orders") -> httpx2.Response:
    """Alice's way to a page of the gateway's."""
    return await submit(http, await passed(http, await http.get(path)), username="alice", password=realm.secret)
