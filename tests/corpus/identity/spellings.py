"""Tokens that are spelled, headed or sent otherwise than others read them."""

from __future__ import annotations

import json
from typing import Any

from .bindings import b64
from .notation import HEAD, Case, Scene, Sent, header, spelled, written

NONE = "RFC 8725 3.2"
KIND = "RFC 8725 3.11: kinds of tokens are not mixed up"
STRICT = "two readers must not read two things"
ONE = "one credential, in one place"


def head(**changed: Any) -> bytes:
    return json.dumps({**HEAD, **changed}).encode()


# --- headers


MISSPELT = (
    *("NONE", "nOnE", " none", "none ", "none\0", "RS256 ", " RS256", "Rs256", "RS256\n", "RS256,none", "*"),
    *("\u0420S256", "HS256", "hs256", "A128KW", "dir", "ES256K", "RSASSA-PKCS1-v1_5", "SHA256withRSA"),
)

HEADS: list[Case] = [
    *(
        written(f"alg {name}", "algorithm_refused", NONE, b"{%s", head(alg=name))
        for name in MISSPELT
    ),
    written("alg an object", "token_malformed", "RFC 7515 4.1.1", b"{%s", head(alg={"RS256": 1})),
    written("alg true", "token_malformed", "RFC 7515 4.1.1", b"{%s", head(alg=True)),
    written("ALG beside alg none", "algorithm_refused", NONE, b"{%s",
            b'{"ALG":"RS256","alg":"none","kid":"first","typ":"JWT"}'),
    written("alg twice by an escape", "token_malformed", STRICT, b"{%s",
            b'{"alg":"RS256","\\u0061lg":"none","kid":"first","typ":"JWT"}'),
    header("crit empty", "token_header_refused", "RFC 7515 4.1.11: it must not be empty", {"crit": []}),
    header("crit a text", "token_header_refused", "RFC 7515 4.1.11", {"crit": "exp"}),
    header("crit of what is there", "token_header_refused", "RFC 7515 4.1.11", {"crit": ["kid"]}),
    header("b64 alone", "token_header_refused", "RFC 7797 6", {"b64": False}),
    header("b64 true", "token_header_refused", "RFC 7797 6", {"b64": True}),
    header("an empty jwk", "token_header_refused", "RFC 8725 3.10", {"jwk": {}}),
    header("a key that is the provider's address", "token_header_refused", "RFC 8725 3.10",
           {"jku": "http://127.0.0.1/realms/demo/protocol/openid-connect/certs"}),
    header("a file's address", "token_header_refused", "RFC 8725 3.10", {"x5u": "file:///etc/passwd"}),
    header("a key's address in another case", None, "names are compared letter by letter", {"JKU": "https://evil"}),
    header("a kid that is an address", "key_unknown", "RFC 8725 3.10", {"kid": "https://evil.example/key"}),
    header("a kid with a line break", "key_unknown", "RFC 8725 3.10", {"kid": "first\n"}),
    header("a kid with a surrogate", "key_unknown", "RFC 8725 3.10", {"kid": "\ud800"}),
    header("a kid that looks alike", "key_unknown", "RFC 8725 3.10", {"kid": "f\u0456rst"}),
    header("a kid by LDAP", "key_unknown", "RFC 8725 3.10", {"kid": "*)(uid=*"}),
    header("a kid as a template", "key_unknown", "RFC 8725 3.10", {"kid": "${jndi:ldap://evil.example/a}"}),
    header("content of another kind of its own", "token_type_wrong", KIND, {"typ": "JWE", "cty": "JWT"}),
    header("typ of a token by introspection", "token_type_wrong", KIND, {"typ": "token-introspection+jwt"}),
    header("typ of an authorization request", "token_type_wrong", KIND, {"typ": "oauth-authz-req+jwt"}),
    header("typ with a parameter", "token_type_wrong", KIND, {"typ": "at+jwt; charset=utf-8"}),
    header("typ with a blank", "token_type_wrong", KIND, {"typ": "at+jwt "}),
    header("typ application twice", "token_type_wrong", KIND, {"typ": "application/application/at+jwt"}),
]  # fmt: skip


# --- spellings


def tail(last: str) -> Any:
    """The token with its last character changed for one whose first bits are the same."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    def spell(head: str, body: str, mac: str) -> str:
        return f"{head}.{body}.{mac[:-1]}{alphabet[alphabet.index(mac[-1]) | int(last, 2)]}"

    return spell


def bits_of_head(head: str, body: str, mac: str) -> str:
    """Unused bits in the header's end, if it has any."""
    return f"{head[:-1]}{chr(ord(head[-1]) + 1)}.{body}.{mac}" if len(head) % 4 else f"{head}A.{body}.{mac}"


ENCRYPTED = b64(b'{"alg":"dir","enc":"A128GCM"}')

SPELT: list[Case] = [
    *(spelled(f"unused bits {bits}", "token_malformed", "RFC 4648 3.5", tail(bits))
      for bits in ("0001", "0010", "0100", "1000", "1111")),
    spelled("unused bits in the header", "token_malformed", "RFC 4648 3.5", bits_of_head),
    spelled("one padding", "token_malformed", "RFC 7515 2", lambda head, body, mac: f"{head}.{body}.{mac}="),
    spelled("paddings everywhere", "token_malformed", "RFC 7515 2",
            lambda head, body, mac: f"{head}==.{body}==.{mac}=="),
    spelled("a dot before", "token_malformed", "RFC 7515 7.1", lambda head, body, mac: f".{head}.{body}.{mac}"),
    spelled("a dot behind", "token_malformed", "RFC 7515 7.1", lambda head, body, mac: f"{head}.{body}.{mac}."),
    spelled("a dot twice", "token_malformed", "RFC 7515 7.1", lambda head, body, mac: f"{head}..{body}.{mac}"),
    spelled("a NUL behind", "token_malformed", STRICT, lambda head, body, mac: f"{head}.{body}.{mac}\0"),
    spelled("a tabulator behind", "token_malformed", STRICT, lambda head, body, mac: f"{head}.{body}.{mac}\t"),
    spelled("a comma behind", "token_malformed", STRICT, lambda head, body, mac: f"{head}.{body}.{mac},"),
    spelled("a semicolon", "token_malformed", STRICT, lambda head, body, mac: f"{head}.{body}.{mac};a=b"),
    spelled("token= before", "token_malformed", STRICT, lambda head, body, mac: f"token={head}.{body}.{mac}"),
    spelled("Bearer twice", "token_malformed", STRICT, lambda head, body, mac: f"Bearer {head}.{body}.{mac}"),
    spelled("two tokens and a blank", "token_malformed", STRICT,
            lambda head, body, mac: f"{head}.{body}.{mac} {head}.{body}.{mac}"),
    spelled("a letter that looks alike", "token_malformed", STRICT,
            lambda head, body, mac: f"{head}.{body}.{mac}".replace("e", "\u0435", 1)),
    spelled("a dot that looks alike", "token_malformed", STRICT,
            lambda head, body, mac: f"{head}\uff0e{body}\uff0e{mac}"),
    spelled("as an encrypted token", "token_malformed", "RFC 7516 3.1",
            lambda head, body, mac: f"{ENCRYPTED}..{mac}.{body}.{mac}"),
    spelled("detached, as RFC 7797 has it", "token_malformed", "RFC 7515 F", lambda head, body, mac: f"{head}..{mac}"),
    spelled("a million dots", "token_malformed", "bounded", lambda head, body, mac: "." * 16_000),
    spelled("a large header alone", "token_malformed", "bounded", lambda head, body, mac: f"{'A' * 2049}.{body}.{mac}"),
    spelled("at the bound of size and no more", "token_malformed", "bounded",
            lambda head, body, mac: f"{head}.{body}.{'A' * (16_385 - len(head) - len(body) - 2)}"),
]  # fmt: skip


# --- where and how they are sent


def sent(
    name: str, code: str | None, rule: str, *fields: tuple[bytes, bytes], scheme: bytes = b"Bearer", status: int = 401
) -> Case:
    """A good token beside more fields, in which `%s` stands for another good one."""

    def make(scene: Scene) -> Sent:
        other = scene.issuer.token(sub="other").encode()
        more = tuple((field, value.replace(b"%s", other)) for field, value in fields)
        return Sent(scene.issuer.token(), scheme, more=more)

    return Case(name, code, rule, make, status)


AUTHORIZATION = b"authorization"
PLACES: list[Case] = [
    sent("two tokens in two fields", "credentials_ambiguous", ONE, (AUTHORIZATION, b"Bearer %s"), status=400),
    sent("a token and Basic", "credentials_ambiguous", ONE, (AUTHORIZATION, b"Basic YTpi"), status=400),
    sent("a token and an empty field", "credentials_ambiguous", ONE, (AUTHORIZATION, b""), status=400),
    sent("a token for the proxy besides", None, "RFC 9110 11.7: it is another hop's",
         (b"proxy-authorization", b"Bearer %s")),
    sent("a token in a cookie besides", None, "RFC 6750 2: it is none there", (b"cookie", b"token=%s")),
    sent("BEARER", None, "RFC 9110 11.1: case does not matter", scheme=b"BEARER"),
    sent("bEaReR", None, "RFC 9110 11.1: case does not matter", scheme=b"bEaReR"),
    sent("two blanks", None, "RFC 9110 11.4: 1*SP", scheme=b"Bearer "),
    sent("a tabulator behind the scheme", "credentials_malformed", "RFC 9110 11.4", scheme=b"Bearer\t"),
    sent("a colon behind the scheme", "credentials_malformed", "RFC 9110 11.4", scheme=b"Bearer:"),
    sent("a comma behind the scheme", "credentials_malformed", "RFC 9110 11.4", scheme=b"Bearer,"),
    sent("a NUL in the scheme", "credentials_malformed", "RFC 9110 11.4", scheme=b"Bear\0er"),
    sent("a scheme that looks alike", "credentials_malformed", "RFC 9110 11.4", scheme="B\u0435arer".encode()),
    sent("no scheme", "credentials_malformed", "RFC 9110 11.4", scheme=b""),
    sent("another scheme", "credentials_missing", "RFC 9110 11.4", scheme=b"Token"),
    sent("a scheme that begins alike", "credentials_missing", "RFC 9110 11.4", scheme=b"Bearers"),
    sent("a scheme that is shorter", "credentials_missing", "RFC 9110 11.4", scheme=b"Beare"),
    sent("Negotiate", "credentials_missing", "RFC 9110 11.4", scheme=b"Negotiate"),
    sent("by DPoP, without a proof, unbound", "token_not_bound", "RFC 9449 7.1", scheme=b"DPoP"),
    sent("two schemes in one", "token_malformed", ONE, scheme=b"Bearer DPoP"),
]  # fmt: skip
