"""What others let in, or fell over: signatures, numbers, shapes and spellings out of advisories on token libraries."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from .bindings import b64
from .notation import HEAD, Case, Scene, Sent, claims, written

NOW = 1_800_000_000
P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # the order of the curve
EXP, NBF, IAT, ISS, AUD = (f"RFC 7519 4.1.{part}" for part in (4, 5, 6, 1, 3))
DIGITS = "RFC 7518 3.4: R and S, each of 32 octets"
PSYCHIC = "CVE-2022-21449: R and S are at least 1 and below the order"
STRICT = "two readers must not read two things"
KIND = "RFC 8725 3.11: kinds of tokens are not mixed up"


# --- signatures by elliptic curves


def by_curve(name: str, code: str | None, rule: str, change: Any) -> Case:
    """A token by ES256, whose R and S (integers) become other octets."""

    def make(scene: Scene) -> Sent:
        jwk = scene.jwk(scene.privates["ES256"], kid="curve")
        token = scene.issuer.token(header={"kid": "curve"}, private=scene.privates["ES256"], algorithm="ES256")
        signed, _, _ = token.rpartition(".")
        der = scene.privates["ES256"].sign(signed.encode(), ECDSA(SHA256()))
        octets: bytes = change(*decode_dss_signature(der), der)
        return Sent(f"{signed}.{b64(octets)}", keys=[jwk, *scene.issuer.jwks])

    return Case(name, code, rule, make)


def two(r: int, s: int, length: int = 32) -> bytes:
    return r.to_bytes(length, "big") + s.to_bytes(length, "big")


CURVES: list[Case] = [
    by_curve("as it should be", None, DIGITS, lambda r, s, der: two(r, s)),
    by_curve("zero and zero", "signature_invalid", PSYCHIC, lambda r, s, der: two(0, 0)),
    by_curve("R zero", "signature_invalid", PSYCHIC, lambda r, s, der: two(0, s)),
    by_curve("S zero", "signature_invalid", PSYCHIC, lambda r, s, der: two(r, 0)),
    by_curve("one and one", "signature_invalid", PSYCHIC, lambda r, s, der: two(1, 1)),
    by_curve("the order twice", "signature_invalid", PSYCHIC, lambda r, s, der: two(P256, P256)),
    by_curve("the order and zero", "signature_invalid", PSYCHIC, lambda r, s, der: two(P256, 0)),
    by_curve("the largest numbers", "signature_invalid", PSYCHIC, lambda r, s, der: b"\xff" * 64),
    by_curve("S behind the order", "signature_invalid", PSYCHIC, lambda r, s, der: two(r, s % (2**256 - P256) + P256)),
    by_curve("in DER", "signature_invalid", DIGITS, lambda r, s, der: der),
    by_curve("S before R", "signature_invalid", DIGITS, lambda r, s, der: two(s, r)),
    by_curve("an octet too many", "signature_invalid", DIGITS, lambda r, s, der: two(r, s) + b"\0"),
    by_curve("an octet before each", "signature_invalid", DIGITS, lambda r, s, der: two(r, s, 33)),
    by_curve("of a longer curve", "signature_invalid", DIGITS, lambda r, s, der: two(r, s, 48)),
    by_curve("R alone", "signature_invalid", DIGITS, lambda r, s, der: two(r, s)[:32]),
    by_curve("nothing", "signature_invalid", DIGITS, lambda r, s, der: b""),
]


# --- numbers and shapes of claims


def head(**changed: Any) -> bytes:
    return json.dumps({**HEAD, **changed}).encode()


def time(name: str, text: str, code: str = "token_malformed", rule: str = EXP) -> Case:
    """`exp` as these characters, and as nothing else."""

    def make(scene: Scene) -> Sent:
        rest = json.dumps(scene.issuer.claims(exp=None)).encode()[1:]
        return Sent(scene.issuer.sign(head(), b'{"exp":' + text.encode() + b"," + rest))

    return Case(f"exp {name}", code, rule, make)


NUMBERS: list[Case] = [
    time("1e308", "1e308"),
    time("-1e308", "-1e308"),
    time("1e400", "1e400"),
    time("minus zero", "-0.0", "token_expired"),
    time("a millionth", "1e-6", "token_expired"),
    time("in nanoseconds", str(NOW * 10**9)),
    time("in microseconds", str(NOW * 10**6)),
    time("beyond 64 bits", str(2**64 + NOW)),
    time("beyond 32 digits", "1" + "0" * 32),
    time("the year 10000", "253402300800"),
    time("null", "null"),
    time("an empty text", '""'),
    time("a date", '"2030-01-01T00:00:00Z"'),
    time("in other digits", '"\u0661\u0668\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660"'),
    time("an object", '{"$gt":0}'),
    time("a list of lists", "[[1900000000]]"),
    time("with a plus", "+1900000000"),
    time("with a point at the end", "1900000000."),
    time("with a point before", ".19e10"),
    time("with blanks between digits", "19 00000000"),
    time("with underscores", "1_900_000_000"),
    time("in full-width digits", "\uff11\uff19\uff10\uff10\uff10\uff10\uff10\uff10\uff10\uff10"),
    time("Infinity", "Infinity"),
    time("NaN", "NaN"),
    time("given twice, the later longer", '1700000000,"exp":1900000000'),
    time("given twice in capitals", '1700000000,"EXP":1900000000', "token_expired"),
    time("very precise", "0." + "1" * 9000, "token_expired"),
    time("of very many digits", "1" * 9000),
    time("of a huge exponent", "1e" + "9" * 4000),
    claims("nbf 1e308", "token_malformed", NBF, nbf=1e308),
    claims("nbf a list", "token_malformed", NBF, nbf=[0]),
    claims("iat negative", "token_malformed", IAT, iat=-1),
    claims("iat true", "token_malformed", IAT, iat=True),
    claims("iat in milliseconds", "token_malformed", IAT, iat=NOW * 1000),
    claims("iat tomorrow", "token_not_yet_valid", IAT, iat=NOW + 86_400, exp=NOW + 90_000),
]

SHAPES: list[Case] = [
    *(
        Case(f"an issuer {name}", "issuer_wrong", f"{ISS}: compared letter by letter",
             lambda scene, change=change: Sent(scene.issuer.token(iss=change(scene.issuer.issuer))))
        for name, change in {
            "with a slash behind it": lambda text: text + "/",
            "in capitals": str.upper,
            "with a blank behind": lambda text: text + " ",
            "with a blank before": lambda text: " " + text,
            "with a NUL behind": lambda text: text + "\0",
            "with a query": lambda text: text + "?a=b",
            "with a fragment": lambda text: text + "#a",
            "with a user": lambda text: text.replace("://", "://a@"),
            "by another name of the host": lambda text: text.replace("127.0.0.1", "localhost"),
            "by TLS": lambda text: text.replace("http:", "https:"),
            "through another realm": lambda text: text.replace("/demo", "/other/../demo"),
            "with a slash twice": lambda text: text.replace("/realms", "//realms"),
            "of another realm": lambda text: text.replace("/demo", "/master"),
            "percent-encoded": lambda text: text.replace("demo", "%64emo"),
            "by a letter that looks alike": lambda text: text.replace("demo", "d\u0435mo"),
            "in full-width letters": lambda text: text.replace("demo", "\uff44emo"),
            "with a line break": lambda text: text + "\n",
            "in a list": lambda text: [text],
            "in an object": lambda text: {text: text},
        }.items()
    ),
    claims("an audience that looks alike", "audience_wrong", AUD, aud="g\u0430teway"),
    claims("an audience with a NUL", "audience_wrong", AUD, aud="gateway\0"),
    claims("an audience with a line break", "audience_wrong", AUD, aud="gateway\n"),
    claims("an empty audience", "audience_wrong", AUD, aud=""),
    claims("audiences with a comma", "audience_wrong", AUD, aud="account,gateway"),
    claims("any audience", "audience_wrong", AUD, aud="*"),
    claims("an audience that is true", "token_malformed", AUD, aud=True),
    claims("an audience that is a number", "token_malformed", AUD, aud=0),
    claims("audiences among which is an object", "token_malformed", AUD, aud=["gateway", {}]),
    claims("a subject with a line separator", "token_malformed", "a name reaches logs", sub="a\u2028b"),
    claims("a subject with a tabulator", "token_malformed", "a name reaches logs", sub="a\tb"),
    claims("a subject with DEL", "token_malformed", "a name reaches logs", sub="a\x7fb"),
    claims("a subject with a byte order mark", "token_malformed", "a name reaches logs", sub="\ufeffa"),
    claims("a subject in a list", "token_malformed", "RFC 7519 4.1.2", sub=["4f1c"]),
    claims("a subject that is true", "token_malformed", "RFC 7519 4.1.2", sub=True),
    claims("a client that is a number", "token_malformed", "a name reaches logs", azp=7),
    claims("a client with NUL", "token_malformed", "a name reaches logs", azp="mobile-app\0"),
    claims("a type with a blank", "token_type_wrong", KIND, typ="Bearer "),
    claims("an initial access token", "token_type_wrong", KIND, typ="InitialAccessToken"),
    claims("a registration access token", "token_type_wrong", KIND, typ="RegistrationAccessToken"),
    claims("a serialised ID", "token_type_wrong", KIND, typ="Serialized-ID"),
    claims("an action's token", "token_type_wrong", KIND, typ="execute-actions"),
    claims("a token for a resource's permission", "token_type_wrong", KIND, typ="PermissionTicket"),
    claims("a backchannel logout's events, and a type of its own", "token_type_wrong", KIND, typ="Logout",
           events={"http://schemas.openid.net/event/backchannel-logout": {}}),
    claims("bound to a list", "token_bound", "RFC 7800 3.1", cnf=[{"jkt": "A" * 43}]),
    claims("bound to a number", "token_bound", "RFC 7800 3.1", cnf=0),
    claims("bound to an empty digest", "token_bound", "RFC 9449 6.1", cnf={"jkt": ""}),
    claims("bound to a digest in a list", "token_bound", "RFC 9449 6.1", cnf={"jkt": ["A" * 43]}),
    claims("bound in another case", "token_bound", "RFC 8705 3.1", cnf={"X5T#S256": "A" * 43}),
    claims("bound to a certificate by SHA-1", "token_bound", "RFC 8705 3.1", cnf={"x5t": "A" * 27}),
    written("cnf given twice", "token_malformed", STRICT, b'{"cnf":{"jkt":"a"},"cnf":null,%s'),
    written("aud given twice", "token_malformed", STRICT, b'{"aud":"account",%s'),
    written("a name twice by an escape", "token_malformed", STRICT, b'{"a\\u0075d":"account",%s'),
    written("an empty name twice", "token_malformed", STRICT, b'{"":1,"":2,%s'),
    written("a name twice, deep", "token_malformed", STRICT, b'{"x":[[{"y":{"a":1,"b":2,"a":3}}]],%s'),
    written("a comma behind", "token_malformed", "RFC 8259 4", b'{"x":[1,],%s'),
    written("a comma too many", "token_malformed", "RFC 8259 4", b"{,%s"),
    written("an escape that is none", "token_malformed", "RFC 8259 7", b'{"x":"\\x41",%s'),
    written("an escape cut off", "token_malformed", "RFC 8259 7", b'{"x":"\\u00",%s'),
    written("a surrogate in octets", "token_malformed", "RFC 3629 3", b'{"x":"\xed\xa0\x80",%s'),
    written("beyond Unicode", "token_malformed", "RFC 3629 3", b'{"x":"\xf5\x80\x80\x80",%s'),
    written("a NUL behind", "token_malformed", STRICT, b"{%s\0"),
    written("a vertical tab between", "token_malformed", "RFC 8259 2", b"{\x0b%s"),
    written("a blank that is not ASCII", "token_malformed", "RFC 8259 2", "{\u00a0%s".encode()),
    written("True", "token_malformed", "RFC 8259 3", b'{"x":True,%s'),
    written("undefined", "token_malformed", "RFC 8259 3", b'{"x":undefined,%s'),
    written("UTF-7", "token_malformed", "RFC 8259 8.1", b"+AHs-%s"),
    written("UTF-32", "token_malformed", "RFC 8259 8.1", '{"x":1}'.encode("utf-32")),
    written("another token within", "token_malformed", "RFC 7519 5.2", b"eyJhbGciOiJub25lIn0.e30."),
    written("lists at the bound of depth", "token_malformed", "bounded", b'{"x":' + b"[" * 17 + b"]" * 17 + b",%s"),
    written("lists and objects, deep", "token_malformed", "bounded",
            b'{"x":' + b'[{"a":' * 1500 + b"1" + b"}]" * 1500 + b",%s"),
]  # fmt: skip
