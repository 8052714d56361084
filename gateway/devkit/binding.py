"""What the development provider binds tokens to: a client's key, by DPoP (RFC 9449 5), or its certificate (RFC 8705 3).

Certificates are told as a proxy in front would (RFC 9440), because the provider itself speaks plain HTTP.
"""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import InvalidSignature
from starlette.requests import Request

from gateway.devkit.oauth import OAuthError
from gateway.devkit.provider import Client, Provider
from gateway.errors import BadRequest
from gateway.http.client_certificate import client_cert
from gateway.identity.dpop import digest_of, thumbprint_of
from gateway.identity.keys import usable_key
from gateway.identity.refusals import InvalidToken
from gateway.identity.token import REFUSED_HEADERS, Token, parse

AGE = 60.0  # seconds that a proof may be old, or clocks differ


def binding_of(provider: Provider, client: Client, request: Request) -> dict[str, Any]:
    """Claims that bind what is granted; raises OAuthError for a bad proof, or where one is missing."""
    proofs = request.headers.getlist("dpop")
    if client.binds == "dpop" and not proofs:
        raise OAuthError("invalid_request", "DPoP proof is missing")
    if proofs:
        jkt = _thumbprint(provider, proofs)
        return {"typ": "DPoP", "cnf": {"jkt": jkt, "kc-jkt-type": "DPoP"}}
    if client.binds == "certificate":
        return {"cnf": {"x5t#S256": _certificate(request)}}
    return {}


def _thumbprint(provider: Provider, proofs: list[str]) -> str:
    """Of the key by which the one proof is signed."""
    if len(proofs) > 1:
        raise _refused("There is more than one proof")
    try:
        proof = parse(proofs[0].encode("latin-1"), refused=REFUSED_HEADERS - {"jwk"})
    except InvalidToken as error:
        raise _refused(error.detail) from error
    jwk = proof.header.get("jwk")
    key = usable_key(jwk, (proof.algorithm,))
    if key is None or not isinstance(jwk, dict) or proof.header.get("typ") != "dpop+jwt":
        raise _refused("It is no proof by a public key")
    try:
        key.verifies[proof.algorithm](proof.signature, proof.signed)
    except InvalidSignature as error:
        raise _refused("The signature does not verify") from error
    _check(provider, proof)
    return thumbprint_of(jwk)


def _check(provider: Provider, proof: Token) -> None:
    claims = proof.claims
    target = f"{provider.issuer}/protocol/openid-connect/token"
    if (claims.get("htm"), claims.get("htu")) != ("POST", target):
        raise _refused(f"The proof is not for POST {target}")
    made, jti = claims.get("iat"), claims.get("jti")
    if not isinstance(made, int | float) or abs(provider.now() - made) > AGE:
        raise _refused("The proof is not of now")
    if not isinstance(jti, str) or jti in provider.proofs:
        raise _refused("The proof was used before")
    provider.proofs.add(jti)


def _certificate(request: Request) -> str:
    try:
        certificate = client_cert([value.encode("latin-1") for value in request.headers.getlist("client-cert")])
    except BadRequest as error:
        raise OAuthError("invalid_request", error.detail) from error
    if certificate is None:
        raise OAuthError("invalid_request", "Client Certification missing for MTLS HoK Token Binding")
    return digest_of(certificate)


def _refused(why: str) -> OAuthError:
    return OAuthError("invalid_dpop_proof", why)
