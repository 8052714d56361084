"""What an accepted assertion proves → the session that begins with it: subject, roles, groups, claims."""

from __future__ import annotations

import math
from hashlib import sha256

from gateway.model import Saml
from gateway.sso.saml import names
from gateway.sso.saml.assertion import is_name
from gateway.sso.saml.entities import NameId, SignedOn
from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.session import SignedIn


def signed_in(saml: Saml, on: SignedOn) -> SignedIn:
    """Raises SamlRefused where nothing names the user for good."""
    return SignedIn(
        provider=saml.name,
        subject=_subject(saml, on),
        issuer=on.issuer,
        client_id=saml.client_id,
        claims=_claims(saml, on),
        roles=_roles(saml, on),
        groups=() if saml.groups is None else on.values(saml.groups),
        sid=sid_of(on.name_id, on.session_index),
        private={"name_id": _parts(on.name_id), "session_index": on.session_index},
        ends=math.inf if on.session_ends is None else on.session_ends,
    )


def sid_of(name_id: NameId, index: str | None) -> str:
    """What a session is ended by: the user's name at the provider, as a digest, and its SessionIndex."""
    return f"{owner_of(name_id)}:{index or ''}"


def owner_of(name_id: NameId) -> str:
    """The user's name at the provider, as a digest: all four parts, as they must come back (core 3.7.1)."""
    parts = (name_id.value, name_id.format or names.UNSPECIFIED, name_id.qualifier or "", name_id.sp_qualifier or "")
    return sha256("\0".join(parts).encode()).hexdigest()[:32]


def name_id_of(private: dict[str, str | None]) -> NameId:
    """As `private` of a session keeps it."""
    value = private["value"]
    assert value is not None
    return NameId(
        value=value,
        format=private["format"],
        qualifier=private["qualifier"],
        sp_qualifier=private["sp_qualifier"],
    )


def _parts(name_id: NameId) -> dict[str, str | None]:
    return {
        "value": name_id.value,
        "format": name_id.format,
        "qualifier": name_id.qualifier,
        "sp_qualifier": name_id.sp_qualifier,
    }


def _subject(saml: Saml, on: SignedOn) -> str:
    """One that is the same at each sign-in: limits, logs and conditions go by it."""
    if saml.subject is None:
        if on.name_id.format == names.TRANSIENT:
            hint = "set `subject` to an attribute that names the user, or ask for `name_id_format: persistent`"
            raise SamlRefused("name_id_refused", "the provider names the user anew at each sign-in", hint=hint)
        return on.name_id.value
    values = on.values(saml.subject)
    if len(values) != 1 or not is_name(values[0]):
        hint = f"the attribute {saml.subject!r} has {len(values)} values; let the provider send one"
        raise SamlRefused("subject_missing", "the assertion does not name the user as it should", hint=hint)
    return values[0]


def _roles(saml: Saml, on: SignedOn) -> tuple[str, ...]:
    """One with `:` could be taken for a client's role, so it is left out, as of tokens."""
    values = () if saml.roles is None else on.values(saml.roles)
    return tuple(role for role in values if ":" not in role)


def _claims(saml: Saml, on: SignedOn) -> dict[str, object]:
    """By OpenID Connect's names, as conditions know them; an attribute of several values is a list."""
    claims: dict[str, object] = {"iss": on.issuer, "sub": _subject(saml, on), "auth_time": int(on.authenticated)}
    if on.context is not None:
        claims["acr"] = on.context
    for claim, attribute in saml.claims.items():
        values = on.values(attribute)
        if values:
            claims[claim] = values[0] if len(values) == 1 else list(values)
    return claims
