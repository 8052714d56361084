"""Signed tokens: claims, headers, octets, spellings and signatures."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .notation import HEAD, Case, Scene, Sent, claims, header, spelled, written

NOW = 1_800_000_000
EVIL = "https://evil.example"
EXP, NBF, IAT, ISS, AUD, SUB = (f"RFC 7519 4.1.{part}" for part in (4, 5, 6, 1, 3, 2))
TYPE = "RFC 8725 3.11: kinds of tokens are not mixed up"
NAMES = "a name reaches logs, headers and counters"
KEYS = "RFC 8725 3.10: no key comes with the token"
STRICT = "two readers must not read two things"
CNF = "RFC 7800 3.1: a binding that is not understood refuses"

CLAIMS: list[Case] = [
    claims("expired", "token_expired", EXP, exp=NOW - 31),
    claims("expired long ago", "token_expired", EXP, exp=0),
    claims("without exp", "token_malformed", EXP, exp=None),
    claims("exp as text", "token_malformed", EXP, exp="1900000000"),
    claims("exp true", "token_malformed", EXP, exp=True),
    claims("exp negative", "token_malformed", EXP, exp=-1),
    claims("exp in milliseconds", "token_malformed", EXP, exp=NOW * 1000),
    claims("exp as a list", "token_malformed", EXP, exp=[NOW + 300]),
    claims("not yet valid", "token_not_yet_valid", NBF, nbf=NOW + 31),
    claims("nbf as text", "token_malformed", NBF, nbf="0"),
    claims("nbf false", "token_malformed", NBF, nbf=False),
    claims("nbf an object", "token_malformed", NBF, nbf={}),
    claims("issued in the future", "token_not_yet_valid", IAT, iat=NOW + 31),
    claims("iat as text", "token_malformed", IAT, iat="0"),
    claims("iat as an object", "token_malformed", IAT, iat={}),
    claims("another issuer", "issuer_wrong", ISS, iss=f"{EVIL}/realms/demo"),
    claims("without issuer", "issuer_wrong", ISS, iss=None),
    claims("issuer as a list", "issuer_wrong", ISS, iss=[EVIL]),
    claims("issuer as an object", "issuer_wrong", ISS, iss={"a": 1}),
    claims("an empty issuer", "issuer_wrong", ISS, iss=""),
    claims("for another audience", "audience_wrong", AUD, aud="account"),
    claims("for none", "audience_wrong", AUD, aud=[]),
    claims("audience in another case", "audience_wrong", AUD, aud="Gateway"),
    claims("audience with a blank", "audience_wrong", AUD, aud="gateway "),
    claims("audience that begins alike", "audience_wrong", AUD, aud="gateway-2"),
    claims("audiences in one text", "audience_wrong", AUD, aud="gateway account"),
    claims("audience as an object", "token_malformed", AUD, aud={"gateway": 1}),
    claims("audience of numbers", "token_malformed", AUD, aud=["gateway", 1]),
    claims("audience in a list in a list", "token_malformed", AUD, aud=[["gateway"]]),
    claims("an ID token", "token_type_wrong", TYPE, typ="ID"),
    claims("a refresh token", "token_type_wrong", TYPE, typ="Refresh"),
    claims("an offline token", "token_type_wrong", TYPE, typ="Offline"),
    claims("a logout token", "token_type_wrong", TYPE, typ="Logout"),
    claims("a DPoP token that is not bound", "token_type_wrong", TYPE, typ="DPoP"),
    claims("a type in another case", "token_type_wrong", TYPE, typ="bearer"),
    claims("a type as a list", "token_type_wrong", TYPE, typ=["Bearer"]),
    claims("without a type", "token_type_wrong", TYPE, typ=None),
    claims("bound to nothing", "token_bound", CNF, cnf={}),
    claims("bound to a text", "token_bound", CNF, cnf="key"),
    claims("bound to a key itself", "token_bound", CNF, cnf={"jwk": {"kty": "RSA"}}),
    claims("bound to a key by address", "token_bound", CNF, cnf={"jku": EVIL}),
    claims("bound to a key by name", "token_bound", CNF, cnf={"kid": "first"}),
    claims("bound to a short digest", "token_bound", CNF, cnf={"jkt": "abc"}),
    claims("bound to a digest with padding", "token_bound", CNF, cnf={"x5t#S256": "A" * 43 + "="}),
    claims("bound to more than is understood", "token_bound", CNF, cnf={"jkt": "A" * 43, "x": "A" * 43}),
    claims("bound to a certificate, without", "token_certificate_missing", "RFC 8705 3", cnf={"x5t#S256": "A" * 43}),
    claims("bound to a key, as Bearer", "dpop_required", "RFC 9449 7.2", cnf={"jkt": "A" * 43}),
    claims("without subject", "subject_missing", SUB, sub=None),
    claims("an empty subject", "token_malformed", SUB, sub=""),
    claims("a subject that is a number", "token_malformed", SUB, sub=7),
    claims("a subject that breaks lines", "token_malformed", NAMES, sub="a\r\nX-Admin: 1"),
    claims("a subject with NUL", "token_malformed", NAMES, sub="a\x00b"),
    claims("a subject with a lone surrogate", "token_malformed", NAMES, sub="\ud800"),
    claims("a subject that turns the line around", "token_malformed", NAMES, sub="a\u202eb"),
    claims("a subject too long", "token_malformed", NAMES, sub="a" * 256),
    claims("a client that is a list", "token_malformed", NAMES, azp=["mobile-app"]),
    claims("a client that breaks lines", "token_malformed", NAMES, azp="a\n"),
    claims("an empty client", "token_malformed", NAMES, azp=""),
    claims("a client_id that is an object", "token_malformed", NAMES, client_id={}),
]

HEADERS: list[Case] = [
    header("crit", "token_header_refused", "RFC 7515 4.1.11", {"crit": ["exp"]}),
    header("b64", "token_header_refused", "RFC 7797 6", {"b64": False, "crit": ["b64"]}),
    header("an embedded key", "token_header_refused", KEYS, {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}),
    header("a key's address", "token_header_refused", KEYS, {"jku": f"{EVIL}/jwks"}),
    header("a key's address in this machine", "token_header_refused", KEYS, {"jku": "http://127.0.0.1:1/"}),
    header("a certificate", "token_header_refused", KEYS, {"x5c": ["MIIB"]}),
    header("a certificate's address", "token_header_refused", KEYS, {"x5u": f"{EVIL}/cert"}),
    header("an unknown key", "key_unknown", "RFC 7515 4.1.4", {"kid": "second"}),
    header("a key's path", "key_unknown", KEYS, {"kid": "../../../../dev/null"}),
    header("a key by SQL", "key_unknown", KEYS, {"kid": "first' OR '1'='1"}),
    header("a key by command", "key_unknown", KEYS, {"kid": "first;curl evil.example"}),
    header("an empty kid", "key_unknown", "RFC 7515 4.1.4", {"kid": ""}),
    header("a kid with NUL", "key_unknown", KEYS, {"kid": "first\x00"}),
    header("a kid in another case", "key_unknown", "RFC 7515 4.1.4", {"kid": "FIRST"}),
    header("a huge kid", "token_malformed", "bounded", {"kid": "k" * 257}),
    header("typ of an ID token", "token_type_wrong", TYPE, {"typ": "id+jwt"}),
    header("typ of a logout token", "token_type_wrong", TYPE, {"typ": "logout+jwt"}),
    header("typ of DPoP", "token_type_wrong", TYPE, {"typ": "dpop+jwt"}),
    header("typ of a security event", "token_type_wrong", TYPE, {"typ": "secevent+jwt"}),
]


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def head(**changed: Any) -> bytes:
    return json.dumps({name: value for name, value in {**HEAD, **changed}.items() if value is not ...}).encode()


OCTETS: list[Case] = [  # the signature is good over these, so that only strict reading refuses them
    written("exp given twice", "token_malformed", STRICT, b'{"exp":1900000000,%s'),
    written("exp given twice in disguise", "token_malformed", STRICT, b'{"\\u0065xp":1900000000,%s'),
    written("a claim given twice within another", "token_malformed", STRICT, b'{"x":{"a":1,"a":2},%s'),
    written("alg given twice", "token_malformed", STRICT, b"{%s",
            b'{"alg":"none","alg":"RS256","kid":"first","typ":"JWT"}'),
    written("kid given twice", "token_malformed", STRICT, b"{%s",
            b'{"alg":"RS256","kid":"evil","kid":"first","typ":"JWT"}'),
    written("exp NaN", "token_malformed", "RFC 8259 6", b'{"x":NaN,%s'),
    written("exp infinite", "token_malformed", "RFC 8259 6", b'{"x":-Infinity,%s'),
    written("a number out of range", "token_malformed", "RFC 8259 6", b'{"x":1e400,%s'),
    written("a number too long", "token_malformed", "bounded", b'{"x":' + b"9" * 5000 + b",%s"),
    written("a number with a zero before", "token_malformed", "RFC 8259 6", b'{"x":01,%s'),
    written("a number in hexadecimal", "token_malformed", "RFC 8259 6", b'{"x":0x1,%s'),
    written("single quotes", "token_malformed", "RFC 8259 7", b"{'x':1,%s"),
    written("a comment", "token_malformed", "RFC 8259 2", b"{/**/%s"),
    written("a byte order mark", "token_malformed", "RFC 8259 8.1", b"\xef\xbb\xbf{%s"),
    written("not UTF-8", "token_malformed", "RFC 8259 8.1", b'{"x":"\xff",%s'),
    written("overlong UTF-8", "token_malformed", "RFC 3629 3", b'{"x":"\xc0\xaf",%s'),
    written("UTF-16", "token_malformed", "RFC 8259 8.1", '{"x":1}'.encode("utf-16")),
    written("a control character", "token_malformed", "RFC 8259 7", b'{"x":"\x00",%s'),
    written("an array around", "token_malformed", "RFC 7519 7.2", b"[{%s]"),
    written("a text", "token_malformed", "RFC 7519 7.2", b'"claims"'),
    written("nothing", "token_malformed", "RFC 7519 7.2", b""),
    written("null", "token_malformed", "RFC 7519 7.2", b"null"),
    written("something behind", "token_malformed", STRICT, b"{%s{}"),
    written("deep", "token_malformed", "bounded", b'{"x":' + deep(17) + b",%s"),
    written("very deep", "token_malformed", "bounded", b'{"x":' + b"[" * 4000 + b"]" * 4000 + b",%s"),
    written("huge", "token_malformed", "bounded", b'{"x":"' + b"a" * 12_300 + b'",%s'),
    written("a huge header", "token_malformed", "bounded", b"{%s", head(x="a" * 1500)),
    written("a header that is a list", "token_malformed", "RFC 7515 4", b"{%s", b'["RS256"]'),
    written("kid a number", "token_malformed", "RFC 7515 4.1.4", b"{%s", head(kid=1)),
    written("kid null", "token_malformed", "RFC 7515 4.1.4", b"{%s", head(kid=None)),
    written("kid an object", "token_malformed", "RFC 7515 4.1.4", b"{%s", head(kid={})),
    written("alg a list", "token_malformed", "RFC 7515 4.1.1", b"{%s", head(alg=["RS256"])),
    written("alg null", "token_malformed", "RFC 7515 4.1.1", b"{%s", head(alg=None)),
    written("without alg", "token_malformed", "RFC 7515 4.1.1", b"{%s", head(alg=...)),
    written("without typ", "token_type_wrong", TYPE, b"{%s", head(typ=...)),
    written("typ a list", "token_type_wrong", TYPE, b"{%s", head(typ=["JWT"])),
    written("alg in small letters", "algorithm_refused", "RFC 7515 4.1.1", b"{%s", head(alg="rs256")),
    written("alg none over a good signature", "algorithm_refused", "RFC 8725 3.2", b"{%s", head(alg="none")),
    written("alg None", "algorithm_refused", "RFC 8725 3.2", b"{%s", head(alg="None")),
    written("alg empty", "algorithm_refused", "RFC 8725 3.2", b"{%s", head(alg="")),
    written("a key's sister algorithm", "algorithm_refused", "RFC 7517 4.4", b"{%s", head(alg="RS512")),
    written("a key's other family", "algorithm_refused", "RFC 8725 3.1", b"{%s", head(alg="PS256")),
    written("another kind of key's algorithm", "algorithm_refused", "RFC 8725 3.1", b"{%s", head(alg="ES256")),
    written("an encryption's algorithm", "algorithm_refused", "RFC 8725 3.1", b"{%s", head(alg="RSA-OAEP")),
]  # fmt: skip

SPELLINGS: list[Case] = [
    spelled("an empty token", "token_malformed", "RFC 7515 7.1", lambda head, body, mac: ""),
    spelled("one part", "token_malformed", "RFC 7515 7.1", lambda head, body, mac: head),
    spelled("two parts", "token_malformed", "RFC 7515 7.1", lambda head, body, mac: f"{head}.{body}"),
    spelled("four parts", "token_malformed", "RFC 7515 7.1", lambda head, body, mac: f"{head}.{body}.{mac}."),
    spelled("five parts, as encrypted tokens have", "token_malformed", "RFC 7516 7.1",
            lambda head, body, mac: f"{head}.{body}.{mac}.{mac}.{mac}"),
    spelled("dots alone", "token_malformed", "RFC 7515 7.1", lambda head, body, mac: ".."),
    spelled("without header", "token_malformed", "RFC 7515 7.1", lambda head, body, mac: f".{body}.{mac}"),
    spelled("without claims", "token_malformed", "RFC 7515 7.1", lambda head, body, mac: f"{head}..{mac}"),
    spelled("padding", "token_malformed", "RFC 7515 2", lambda head, body, mac: f"{head}.{body}.{mac}=="),
    spelled("padding inside", "token_malformed", "RFC 7515 2", lambda head, body, mac: f"{head}=.{body}.{mac}"),
    spelled("the standard alphabet", "token_malformed", "RFC 4648 5",
            lambda head, body, mac: f"{head}.{body}.{'+' + mac[1:]}"),
    spelled("a blank inside", "token_malformed", STRICT, lambda head, body, mac: f"{head}. {body}.{mac}"),
    spelled("a line break", "token_malformed", STRICT, lambda head, body, mac: f"{head}.{body}.{mac}\n"),
    spelled("a tab before", "token_malformed", STRICT, lambda head, body, mac: f"\t{head}.{body}.{mac}"),
    spelled("percent-encoding", "token_malformed", STRICT, lambda head, body, mac: f"{head}%2E{body}%2E{mac}"),
    spelled("in quotes", "token_malformed", STRICT, lambda head, body, mac: f'"{head}.{body}.{mac}"'),
    spelled("unused bits set", "token_malformed", "RFC 4648 3.5",
            lambda head, body, mac: f"{head}.{body}.{mac[:-1]}{chr(ord(mac[-1]) + 1)}"),
    spelled("a character too many", "token_malformed", "RFC 4648 4",
            lambda head, body, mac: f"{head}.{body}.{mac}AAA"),
    spelled("a second token", "token_malformed", STRICT,
            lambda head, body, mac: f"{head}.{body}.{mac}, Bearer {head}.{body}.{mac}"),
    spelled("as JSON", "token_malformed", "RFC 7515 7.2",
            lambda head, body, mac: json.dumps({"protected": head, "payload": body, "signature": mac})),
    spelled("characters beyond ASCII", "token_malformed", STRICT, lambda head, body, mac: f"{head}.{body}.ü{mac}"),
]  # fmt: skip

VERIFY = "RFC 7515 5.2"
SIGNATURES: list[Case] = [
    spelled("no signature", "signature_invalid", VERIFY, lambda head, body, mac: f"{head}.{body}."),
    spelled("cut off", "signature_invalid", VERIFY, lambda head, body, mac: f"{head}.{body}.{mac[:-2]}"),
    spelled("longer", "signature_invalid", VERIFY, lambda head, body, mac: f"{head}.{body}.{'AAAA' + mac}"),
    spelled("changed", "signature_invalid", VERIFY,
            lambda head, body, mac: f"{head}.{body}.{('B' if mac[0] == 'A' else 'A') + mac[1:]}"),
    spelled("zero", "signature_invalid", VERIFY, lambda head, body, mac: f"{head}.{body}.{'A' * len(mac)}"),
    spelled("larger than the modulus", "signature_invalid", "RFC 8017 8.2.2",
            lambda head, body, mac: f"{head}.{body}.{'_' * (len(mac) - 1)}w"),
    spelled("claims that were left out", "issuer_wrong", ISS, lambda head, body, mac: f"{head}.e30.{mac}"),
]  # fmt: skip


def by_another(scene: Scene) -> Sent:
    return Sent(scene.issuer.token(private=scene.privates["other"]))


def swapped(scene: Scene) -> Sent:
    """The claims of one good token, the signature of another."""
    first, _, mac = scene.issuer.token().split(".")
    return Sent(f"{first}.{scene.issuer.token(sub='admin').split('.')[1]}.{mac}")


def by_public_key(algorithm: str, encoding: Encoding) -> Any:
    def make(scene: Scene) -> Sent:
        public = scene.issuer.private.public_key()
        secret = public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        return Sent(
            scene.issuer.sign(head(alg=algorithm), json.dumps(scene.issuer.claims()).encode(), secret, algorithm)
        )

    return make


SIGNATURES += [
    Case("another key under the same name", "signature_invalid", VERIFY, by_another),
    Case("claims changed after signing", "signature_invalid", VERIFY, swapped),
    *(
        Case(f"{algorithm} by the public key as {name}", "algorithm_refused", "RFC 8725 2.1",
             by_public_key(algorithm, encoding))
        for algorithm in ("HS256", "HS384", "HS512")
        for name, encoding in (("PEM", Encoding.PEM), ("DER", Encoding.DER))
    ),
]  # fmt: skip

GOOD: list[Case] = [
    claims("as Keycloak makes them", None, TYPE),
    header("RFC 9068's type", None, "RFC 9068 2.1", {"typ": "at+jwt"}),
    header("RFC 9068's type alone", None, "RFC 9068 2.1", {"typ": "at+jwt"}, typ=None),
    header("the type in full", None, "RFC 7515 4.1.9", {"typ": "application/at+JWT"}),
    header("the type in small letters", None, "RFC 7515 4.1.9", {"typ": "jwt"}),
    header("without kid, as one key fits", None, "RFC 7515 4.1.4", {"kid": None}),
    header("a certificate's digest", None, "RFC 7515 4.1.7", {"x5t": "abc"}),
    claims("one audience", None, AUD, aud="gateway"),
    claims("fractions of seconds", None, "RFC 7519 2", exp=NOW + 300.5, iat=NOW - 0.5),
    claims("expired within the leeway", None, EXP, exp=NOW - 29),
    claims("valid within the leeway", None, NBF, nbf=NOW + 29, iat=NOW + 29),
    claims("without iat", None, IAT, iat=None),
    claims("client_id for azp", None, "RFC 9068 2.2", azp=None, client_id="mobile-app"),
    claims("a name beyond ASCII", None, NAMES, sub="jürgen"),
    claims("malformed roles", None, "no roles, no fault", realm_access=["customer"], resource_access="none"),
    written("blanks between", None, "RFC 8259 2", b"{ \n%s"),
    written("numbers as exponents", None, "RFC 8259 6", b'{"x":1.8E9,%s'),
    written("claims within claims", None, "bounded", b'{"x":' + deep(10) + b",%s"),
]
