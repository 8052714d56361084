"""What an access token must claim (RFC 7519, RFC 9068, RFC 8725 3), and the identity that it then proves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from gateway.identity.refusals import InvalidToken
from gateway.identity.token import Token
from gateway.model import Identity, Oidc

LEEWAY = 30.0  # seconds that clocks may differ; RFC 8725 permits a few minutes at most
LATEST = 253_402_300_799  # the last second of the year 9999
NAME_LENGTH = 255  # of `sub` (OpenID Connect Core 2), and of what else names someone

BINDINGS = frozenset({"x5t#S256", "jkt"})  # RFC 8705 3.1, RFC 9449 6.1
KEYCLOAK = ("kc-jkt-type", "DPoP")  # says of `jkt` what it is for
ACCESS_TYPES = frozenset({"bearer", "access_token"})

_ABSENT = object()
_digest = re.compile(r"[A-Za-z0-9_-]{43}").fullmatch  # SHA-256 in base64url


class Rules(NamedTuple):
    """What one provider's tokens are held against."""

    provider: str
    issuer: str
    audience: frozenset[str]

    @classmethod
    def of(cls, oidc: Oidc) -> Rules:
        return cls(oidc.name, oidc.issuer, frozenset(oidc.audience))


def check(token: Token, rules: Rules, now: float, *, whole: bool = True) -> None:
    """Everything but the signature; raises InvalidToken. `now` in Unix seconds. Not `whole`: what a lightweight token
    leaves out will be told by the provider."""
    _check_issuer(token.claims, rules)
    _check_binding(token.claims)
    check_type(token.header, token.claims)
    check_times(token.claims, now)
    if whole:
        _check_audience(token.claims, rules)
        check_names(token.claims)


def check_told(claims: dict[str, Any], rules: Rules, now: float, token: Token | None) -> dict[str, Any]:
    """The claims of an active token, as the provider told them (RFC 7662 2.2), held against the same rules.

    `token`: itself, if it is one that can be read. What the answer leaves out is what that says; where both speak they
    must agree. An opaque one's issuer is who told of it. Raises InvalidToken.
    """
    itself = {"iss": rules.issuer} if token is None else token.claims
    for name in ("sub", "azp", "jti"):
        if name in claims and name in itself and claims[name] != itself[name]:
            raise InvalidToken("token_malformed", f"the provider tells of another {name} than the token's")
    whole = {**itself, **claims}
    _check_issuer(whole, rules)
    _check_binding(whole)
    if token is None:
        _check_told_type(claims, bound=is_bound_to_key(whole))
    check_times(whole, now)
    _check_audience(whole, rules)
    check_names(whole)
    return whole


def _check_issuer(claims: dict[str, Any], rules: Rules) -> None:
    if claims.get("iss") != rules.issuer:
        raise InvalidToken("issuer_wrong", "the token is from another issuer")


def _check_binding(claims: dict[str, Any]) -> None:
    """Whether all that a token is bound to can be checked (see possession)."""
    if "cnf" not in claims:
        return
    binding = claims["cnf"]
    members = binding.items() if isinstance(binding, dict) else ()
    asked = {name: value for name, value in members if (name, value) != KEYCLOAK}
    digests = all(isinstance(value, str) and _digest(value) for value in asked.values())
    if not asked or not digests or not asked.keys() <= BINDINGS:
        raise InvalidToken("token_bound", "the token is bound to something that is not understood")


def is_bound_to_key(claims: dict[str, Any]) -> bool:
    """Whether DPoP is asked for."""
    binding = claims.get("cnf")
    return isinstance(binding, dict) and "jkt" in binding


def _check_told_type(claims: dict[str, Any], *, bound: bool) -> None:
    """An active refresh token is none for access: Keycloak tells kinds by `typ`, RFC 7662 by `token_type`, others by
    `token_use`. One must say so, and none another thing."""
    said = [claims[name] for name in ("typ", "token_type", "token_use") if name in claims]
    known = ACCESS_TYPES | {"dpop"} if bound else ACCESS_TYPES
    if not said or not all(isinstance(word, str) and word.lower() in known for word in said):
        raise InvalidToken("token_type_wrong", "the token is not an access token")


def check_type(header: dict[str, Any], claims: dict[str, Any]) -> None:
    """Raises InvalidToken but for access tokens: Keycloak's say so by the claim `typ` (those for DPoP by that), RFC
    9068's by the header."""
    kind = header.get("typ")
    kind = kind.lower().removeprefix("application/") if isinstance(kind, str) else None
    declared = claims.get("typ", _ABSENT)
    if kind in {"jwt", "at+jwt"} and (declared == "Bearer" or (declared == "DPoP" and is_bound_to_key(claims))):
        return
    if declared is not _ABSENT or kind != "at+jwt":
        raise InvalidToken("token_type_wrong", "the token is not an access token")


def check_times(claims: dict[str, Any], now: float) -> None:
    """`exp`, `nbf` and `iat`; raises InvalidToken."""
    if _time(claims, "exp", required=True) <= now - LEEWAY:
        raise InvalidToken("token_expired", "the token has expired")
    if _time(claims, "nbf") > now + LEEWAY:
        raise InvalidToken("token_not_yet_valid", "the token is not valid yet")
    if _time(claims, "iat") > now + LEEWAY:
        raise InvalidToken("token_not_yet_valid", "the token is issued in the future")


def _time(claims: dict[str, Any], name: str, *, required: bool = False) -> float:
    value = claims.get(name, _ABSENT if required else 0)
    if type(value) not in (int, float) or not 0 <= value <= LATEST:  # a bool is an int to isinstance
        raise InvalidToken("token_malformed", f"{name} is not a time")
    return float(value)


def _check_audience(claims: dict[str, Any], rules: Rules) -> None:
    if "aud" not in claims:
        raise InvalidToken("audience_missing", "the token has no audience", hint=_mapper(rules))
    if rules.audience.isdisjoint(audiences(claims)):
        raise InvalidToken("audience_wrong", "the token is for another audience", hint=_mapper(rules))


def _mapper(rules: Rules) -> str:
    return (
        f"in Keycloak, give the client, or a client scope of it, a mapper of type Audience (oidc-audience-mapper) with "
        f"'Included Custom Audience' {min(rules.audience, default='')!r} and 'Add to access token' on "
        f"('Add to lightweight access token' too, if the client uses those)"
    )


def audiences(claims: dict[str, Any]) -> list[str]:
    """`aud` as a list (RFC 7519 4.1.3); raises InvalidToken for another shape."""
    value = claims.get("aud", [])
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidToken("token_malformed", "aud is neither a string nor a list of strings")
    return names


def check_names(claims: dict[str, Any]) -> None:
    """Raises InvalidToken. Names reach headers, logs and counters' keys: control characters and lone surrogates must
    not."""
    if "sub" not in claims:
        hint = "in Keycloak, give the client the default client scope 'basic', whose mapper adds sub"
        raise InvalidToken("subject_missing", "the token names no subject", hint=hint)
    for name in ("sub", "azp", "client_id"):
        value = claims.get(name, "-")
        if not isinstance(value, str) or not 0 < len(value) <= NAME_LENGTH or not value.isprintable():
            raise InvalidToken("token_malformed", f"{name} is not a name")


def identity_of(claims: dict[str, Any], provider: str) -> Identity:
    """The identity that checked claims prove."""
    return Identity(
        subject=claims["sub"],
        client_id=claims.get("azp", claims.get("client_id")),
        roles=frozenset(_roles(claims)),
        groups=frozenset(_texts(claims.get("groups"))),
        scopes=frozenset(_scopes(claims)),
        issuer=claims["iss"],
        expires=float(claims["exp"]),
        claims=claims,
        proof=(f"jwt:{provider}", "dpop") if is_bound_to_key(claims) else (f"jwt:{provider}",),
    )


def _roles(claims: dict[str, Any]) -> list[str]:
    """Keycloak's realm roles, and clients' as `client:role`.

    A role with `:` in its own name could be taken for another client's, so it is left out.
    """
    roles = _names(claims.get("realm_access"))
    clients = claims.get("resource_access")
    for client, access in clients.items() if isinstance(clients, dict) else ():
        roles += [f"{client}:{role}" for role in _names(access)]
    return roles


def _scopes(claims: dict[str, Any]) -> list[str]:
    """`scope` is a list in one text (RFC 8693 4.2); other providers' `scp` may be a list."""
    value = claims.get("scope", claims.get("scp"))
    return value.split() if isinstance(value, str) else _texts(value)


def _texts(value: object) -> list[str]:
    """A list of texts; any other shape has none."""
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else []


def _names(access: object) -> list[str]:
    """The roles of `{"roles": […]}`; any other shape has none."""
    roles = access.get("roles") if isinstance(access, dict) else None
    return [role for role in _texts(roles) if ":" not in role]


def aspects(token: Token, oidc: Oidc, now: float) -> Iterator[tuple[str, InvalidToken | None]]:
    """What `check` looks at, each by itself, for people: what it is about, and why it would refuse."""
    rules, claims = Rules.of(oidc), token.claims
    bound = {name: value for name, value in claims.items() if name != "cnf" or isinstance(value, dict)}
    works: tuple[tuple[str, Callable[[], None]], ...] = (
        ("issuer", lambda: _check_issuer(claims, rules)),
        ("binding", lambda: _check_binding(claims)),
        ("type", lambda: check_type(token.header, bound)),
        ("times", lambda: check_times(claims, now)),
        ("audience", lambda: _check_audience(claims, rules)),
        ("names", lambda: check_names(claims)),
    )
    for about, work in works:
        try:
            work()
        except InvalidToken as error:
            yield about, error
        else:
            yield about, None
