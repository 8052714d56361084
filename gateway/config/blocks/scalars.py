"""The kinds of text that the files hold: names, amounts, times, secrets."""

from __future__ import annotations

import base64
import binascii
import re
from fractions import Fraction
from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

from gateway.config.blocks.scalar import Scalar, matching, number, one_of
from gateway.config.problems import Complaint, choices, instead
from gateway.model import ASYMMETRIC, Period

GREATEST = 10**15  # what stores and JSON count exactly, with room to add
LONGEST = 24 * 3600  # seconds of a duration

NAME = "[a-z][a-z0-9_-]*"
_name = matching(NAME)

Name = Annotated[str, Scalar(f"a name ({NAME})", _name, {"type": "string", "pattern": f"^{NAME}$"})]
METRIC = Scalar("a metric, or amounts as in {writes: 10}", _name)
Text = Annotated[str, Scalar("text", str)]
FilePath = Annotated[str, Scalar("the path of a file", str)]
Metered = Annotated[str, Scalar("a metric, or service.metric", matching(rf"(?:{NAME}\.)?{NAME}"), {"type": "string"})]

# --- amounts and times -----------------------------------------------------------------------------


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _workers(text: str) -> int | None:
    return None if text == "auto" else _processes.parse(text)


Version = Annotated[str, Scalar("a version of this format (1)", matching("1"), {"enum": [1, "1"]})]
_processes = number(1, 64, "a number of processes from 1 to 64, or auto")
Workers = Annotated[
    int | None, Scalar(_processes.what, _workers, {"anyOf": [_processes.schema, {"const": "auto"}]})
]  # None: auto
FLAG = Scalar("true or false", _flag, {"type": "boolean"})
Flag = Annotated[bool, FLAG]
Fields = Annotated[int, number(1, 10_000, "a number of fields from 1 to 10000")]
Connections = Annotated[int, number(1, 1_000_000, "a number from 1 to 1000000")]
Replicas = Annotated[int, number(0, 5, "a number of replicas from 0 to 5")]
Database = Annotated[int, number(0, 99, "the number of a database from 0 to 99")]
Percent = Annotated[int, number(1, 1000, "a percentage from 1 to 1000, without %")]

Gateways = Annotated[int, number(1, 1000, "a number of gateways from 1 to 1000")]


def _redirect(text: str) -> int | None:
    if text in ("true", "false"):
        return 443 if text == "true" else None
    port: int = _ports.parse(text)
    return port


_ports = number(1, 65535, "true, false or the port of https")
Redirect = Annotated[
    int | None, Scalar(_ports.what, _redirect, {"anyOf": [{"type": "boolean"}, _ports.schema]})
]  # None: false
ClientCertificate = Annotated[str, one_of(("required", "optional"))]
TlsVersion = Annotated[
    str, Scalar("a version of TLS that is spoken (1.2 1.3)", matching(r"1\.[23]"), {"enum": ["1.2", "1.3", 1.2, 1.3]})
]

_SHARE = r"([0-9]{1,2}(?:\.[0-9]{1,3})?)%"


def _share(text: str) -> Fraction:
    found = re.fullmatch(_SHARE, text, re.ASCII)
    share = Fraction(found[1]) / 100 if found else Fraction(0)
    if not share:
        raise ValueError(text)
    return share


Share = Annotated[
    Fraction,
    Scalar("a share above 0% and below 100%, such as 10%", _share, {"type": "string", "pattern": f"^{_SHARE}$"}),
]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = r"([0-9]{1,8}(?:\.[0-9]{1,3})?)(ms|s|m|h)"


def duration(text: str) -> float:
    """Seconds; raises ValueError."""
    found = re.fullmatch(_DURATION, text, re.ASCII)
    if found is None:
        raise ValueError(text)
    seconds = round(float(found[1]) * _UNITS[found[2]], 6)
    if seconds > LONGEST:
        raise Complaint("is longer than 24h", shown=text)
    return seconds


def _positive(text: str) -> float:
    seconds = duration(text)
    if not seconds:
        raise Complaint("is no time at all; would be a duration such as 50ms, 5s, 2m or 1h", shown=text)
    return seconds


def _fence(text: str) -> float:
    seconds = duration(text)
    if not 2 <= seconds <= 60:
        raise Complaint("is not from 2s to 60s: gateways tell each other once a second", shown=text)
    return seconds


def _turn(text: str) -> float:
    seconds = duration(text)
    if not 0.01 <= seconds <= 60:
        raise Complaint("is not from 10ms to 60s: clients do not wait for longer", shown=text)
    return seconds


def _belief(text: str) -> float:
    seconds = duration(text)
    if not 1 <= seconds <= 300:
        raise Complaint("is not from 1s to 5m: what is old may hold no more", shown=text)
    return seconds


SPAN = {"type": "string", "pattern": f"^{_DURATION}$"}
_TIMED = "a duration such as 50ms, 5s, 2m or 1h", SPAN
Duration = Annotated[float, Scalar(_TIMED[0], duration, _TIMED[1])]
Fence = Annotated[float, Scalar(_TIMED[0], _fence, _TIMED[1])]
Turn = Annotated[float, Scalar(_TIMED[0], _turn, _TIMED[1])]
Belief = Annotated[float, Scalar(_TIMED[0], _belief, _TIMED[1])]
Wait = Annotated[float, Scalar(_TIMED[0], _positive, _TIMED[1])]


_AGES = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "y": 365 * 86400}
_AGE = r"(0|[1-9][0-9]{0,8})([smhdy]?)"


def _age(text: str) -> int:
    found = re.fullmatch(_AGE, text, re.ASCII)
    if found is None:
        raise ValueError(text)
    return int(found[1]) * _AGES[found[2]]


MaxAge = Annotated[
    int, Scalar("an age such as 1y, 30d or 31536000", _age, {"type": ["string", "integer"], "pattern": f"^{_AGE}$"})
]

_PERIODS = {str(period): period for period in Period}


def _window(text: str) -> tuple[int, Period]:
    amount, slash, period = text.partition("/")
    if not slash:
        raise ValueError(text)
    if period not in _PERIODS:
        raise Complaint(f"is not a period ({' '.join(Period)})", shown=period)
    if not re.fullmatch(r"[0-9]{1,16}", amount, re.ASCII) or int(amount) > GREATEST:
        raise Complaint("is not an amount (a whole number, at most 10^15)", shown=amount)
    return int(amount), _PERIODS[period]


Window = Annotated[
    tuple[int, Period],
    Scalar(
        "a limit such as 100/minute",
        _window,
        {"type": "string", "pattern": f"^[0-9]+/({'|'.join(Period)})$"},
    ),
]


RATE_SECONDS = {Period.SECOND: 1, Period.MINUTE: 60, Period.HOUR: 3600, Period.DAY: 86400}


def _rate(text: str) -> tuple[int, Period]:
    amount, period = _window(text)
    if period not in RATE_SECONDS:
        raise Complaint(f"is not a period of a rate ({' '.join(RATE_SECONDS)})", shown=str(period))
    if not 1 <= amount <= MOST_AT_ONCE:
        raise Complaint("is not an amount of a rate (a whole number from 1 to 10^9)", shown=str(amount))
    return amount, period


MOST_AT_ONCE = 10**9
Rate = Annotated[
    tuple[int, Period],
    Scalar(
        "a rate such as 50/second",
        _rate,
        {"type": "string", "pattern": f"^[0-9]+/({'|'.join(RATE_SECONDS)})$"},
    ),
]
Burst = Annotated[int, number(1, MOST_AT_ONCE, "a whole number from 1 to 10^9")]
AtOnce = Annotated[int, number(1, MOST_AT_ONCE, "a whole number from 1 to 10^9")]


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(text: str) -> str:
    if text not in _zones():
        raise Complaint(f"is not a time zone{instead(text, _zones())}", shown=text)
    return text


Zone = Annotated[str, Scalar("a time zone such as Europe/Berlin", _zone)]


# --- credentials and secrets -------------------------------------------------------------------------


def _algorithm(text: str) -> str:
    if text.lower() == "none":
        raise Complaint("is not accepted: a token without signature proves nothing", shown=text)
    if text.upper().startswith("HS"):
        raise Complaint("is not accepted: whoever can verify with a shared secret can forge with it", shown=text)
    if text not in ASYMMETRIC:
        raise Complaint(f"is not an algorithm {choices(ASYMMETRIC)}", shown=text)
    return text


Algorithm = Annotated[str, Scalar("a signature algorithm such as RS256", _algorithm, {"enum": list(ASYMMETRIC)})]

KeyDigest = Annotated[
    str,
    Scalar(
        "the digest of a key (sha256: and 64 hexadecimal digits; `gateway keys create` prints one)",
        matching(r"sha256:[0-9a-fA-F]{64}", str.lower),
        {"type": "string", "pattern": "^sha256:[0-9a-fA-F]{64}$"},
        secret=True,
    ),
]


def _webhook_secret(text: str) -> str:
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError from None
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError
    return text


WebhookSecret = Annotated[
    str,
    Scalar(
        "a Standard Webhooks secret (whsec_ and the base64 of 24 to 64 random bytes)",
        _webhook_secret,
        {"type": "string", "pattern": "^whsec_[A-Za-z0-9+/]+=*$"},
        secret=True,
    ),
]
Secret = Annotated[str, Scalar("a secret, as file:PATH or ${NAME}", str, secret=True)]
Email = Annotated[
    str, Scalar("an e-mail address", matching(r"[^@\s]{1,64}@[^@\s]{1,250}"), {"type": "string", "format": "email"})
]
