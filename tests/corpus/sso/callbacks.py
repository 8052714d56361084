"""What comes back from the provider, as an attacker, or a fault, would change it; and the code that it is refused with.

Each case gets the query of a good answer, the browser's cookies, and what else there is; it says what is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Query = list[tuple[str, str]]


class Sent(NamedTuple):
    """`other` is the good answer of another browser's sign-on; `path` where it is sent to."""

    query: Query
    cookies: dict[str, str]
    other: Query
    path: str = "/.sso/keycloak/callback"


class Case(NamedTuple):
    """`rule` says who asks for the refusal."""

    name: str
    rule: str
    code: str
    change: Callable[[Sent], Sent]


def without(name: str) -> Callable[[Sent], Sent]:
    return lambda sent: sent._replace(query=[pair for pair in sent.query if pair[0] != name])


def replaced(name: str, value: str) -> Callable[[Sent], Sent]:
    return lambda sent: sent._replace(query=[(key, value if key == name else old) for key, old in sent.query])


def added(*pairs: tuple[str, str]) -> Callable[[Sent], Sent]:
    return lambda sent: sent._replace(query=[*sent.query, *pairs])


def from_other(*names: str) -> Callable[[Sent], Sent]:
    def change(sent: Sent) -> Sent:
        return sent._replace(query=[(key, dict(sent.other)[key] if key in names else old) for key, old in sent.query])

    return change


def cookies(edit: Callable[[str, str], tuple[str, str] | None]) -> Callable[[Sent], Sent]:
    def change(sent: Sent) -> Sent:
        found = [edit(name, value) for name, value in sent.cookies.items()]
        return sent._replace(cookies=dict(pair for pair in found if pair is not None))

    return change


MALFORMED, NOT_HERE, OVER = "request_malformed", "not_begun_here", "sign_in_over"
MIXED, FAILED = "sign_in_mixed_up", "sign_in_failed"

CASES = (
    Case("no state", "RFC 6749 10.12", MALFORMED, without("state")),
    Case("an empty state", "RFC 6749 10.12", MALFORMED, replaced("state", "")),
    Case("a forged state", "RFC 6749 10.12", NOT_HERE, replaced("state", "A" * 43)),
    Case("a state of other characters", "RFC 6749 10.12", NOT_HERE, replaced("state", "../\x00é")),
    Case("a state that is very long", "RFC 6749 10.12", NOT_HERE, replaced("state", "A" * 4000)),
    Case(
        "a state in upper case",
        "RFC 6749 10.12",
        NOT_HERE,
        lambda s: replaced("state", dict(s.query)["state"].swapcase())(s),
    ),
    Case("another browser's state and code (login CSRF)", "RFC 6749 10.12", NOT_HERE, from_other("state", "code")),
    Case("another browser's state", "RFC 9700 4.7", NOT_HERE, from_other("state")),
    Case("another browser's code (injection)", "RFC 9700 4.5", FAILED, from_other("code")),
    Case("the state twice", "RFC 6749 3.1", MALFORMED, added(("state", "A" * 43))),
    Case("the code twice", "RFC 6749 3.1", MALFORMED, added(("code", "A"))),
    Case("no code", "RFC 6749 4.1.2", MALFORMED, without("code")),
    Case("a forged code", "RFC 6749 4.1.3", FAILED, replaced("code", "forged")),
    Case("a code with control characters", "RFC 6749 4.1.3", FAILED, replaced("code", "a\r\nb")),
    Case("no issuer, though the provider tells it", "RFC 9207 2.4", MIXED, without("iss")),
    Case("another issuer (mix-up)", "RFC 9207 2.4", MIXED, replaced("iss", "https://evil.example/realms/demo")),
    Case("the issuer with a slash", "RFC 9207 2.4", MIXED, lambda s: replaced("iss", dict(s.query)["iss"] + "/")(s)),
    Case("the issuer twice", "RFC 9207 2.4", MALFORMED, added(("iss", "https://evil.example/"))),
    Case("no cookie of the sign-on", "RFC 9700 4.7.1", NOT_HERE, cookies(lambda _name, _value: None)),
    Case("a forged cookie", "RFC 9700 4.7.1", NOT_HERE, cookies(lambda name, _value: (name, "A" * 43))),
    Case("a cookie that is none", "RFC 9700 4.7.1", NOT_HERE, cookies(lambda name, _value: (name, "x"))),
    Case(
        "a cookie of another sign-on",
        "RFC 9700 4.7.1",
        NOT_HERE,
        cookies(lambda _name, value: ("plangate-0123456789abcdef", value)),
    ),
    Case("the cookie as a session's", "RFC 9700 4.7.1", NOT_HERE, cookies(lambda _name, value: ("plangate", value))),
    Case(
        "the cookie by the name for https",
        "RFC 6265 8.6",
        NOT_HERE,
        cookies(lambda name, value: (f"__Host-{name}", value)),
    ),
    Case("the provider lets nobody in", "RFC 6749 4.1.2.1", "sign_in_refused", added(("error", "access_denied"))),
    Case("the provider has no time", "RFC 6749 4.1.2.1", "provider_away", added(("error", "temporarily_unavailable"))),
    Case("an error with a script", "RFC 6749 4.1.2.1", FAILED, added(("error", "<script>alert(1)</script>"))),
    Case("the way of another provider", "RFC 9700 4.4.2", MIXED, lambda s: s._replace(path="/.sso/partner/callback")),
    Case("too many parameters", "RFC 6749 3.1", MALFORMED, added(*((f"p{n}", "1") for n in range(40)))),
)
