"""How addresses, URLs, hosts and paths are read. URLs may hold secrets: no message repeats one."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from gateway.config.blocks.scalar import Scalar, matching
from gateway.config.problems import Complaint
from gateway.errors import BadRequest
from gateway.http.host import parse_host
from gateway.http.path import normalise
from gateway.model import Address, Target
from gateway.routing.patterns import parse_prefix

LOCAL_STORES = ("embedded", "memory")
FORBIDDEN_HEADERS = {  # for API keys
    "authorization": "use {basic: username} or {basic: password}, or another header",
    "cookie": "a browser would send it by itself; use another header",
    "host": "it names the service; use another header",
    "connection": "it is for the next hop alone; use another header",
    "content-length": "it frames the body; use another header",
    "transfer-encoding": "it frames the body; use another header",
    "x-application-id": "the gateway sets it; use another header",
    "x-plan": "the gateway sets it; use another header",
    "x-subject": "the gateway sets it; use another header",
}

_address = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", re.ASCII).fullmatch
_printable = re.compile(r"[!-\[\]-~]+").fullmatch  # without backslashes, which some read as `/`
_database = re.compile(r"/?[0-9]{0,2}", re.ASCII).fullmatch


def _canonical(host: str) -> str:
    """A host in its one spelling, IPv6 in brackets; raises ValueError."""
    try:
        name, port = parse_host(host.encode())
    except BadRequest as error:
        raise ValueError(error.detail) from None
    if port is not None:
        raise Complaint("names a port; a host is matched without it", shown=host)
    return name.decode()


def _bare(host: str) -> str:
    """As `_canonical`, for a host whose port is apart: IPv6 without brackets."""
    return _canonical(f"[{host}]" if ":" in host else host).strip("[]")


def _listen(text: str) -> Address:
    found = _address(text)
    if found is None:
        raise ValueError(text)
    if int(found[3]) > 65535:
        raise Complaint("is not a port (0 to 65535; 0 takes a free one)", shown=found[3])
    return Address(_bare(found[1] or found[2]), int(found[3]))


def _network(text: str) -> IPv4Network | IPv6Network:
    if "%" in text:  # a zone, which is one machine's
        raise ValueError(text)
    try:
        return ip_network(text)
    except ValueError:
        if "/" in text:
            raise Complaint(f"is not a network{_meant(text)}", shown=text) from None
        raise


def _meant(text: str) -> str:
    """Where the address is one inside the network."""
    try:
        return f"; did you mean '{ip_network(text, strict=False)}'?"
    except ValueError:
        return ", such as 10.0.0.0/8"


def _server(text: str) -> Address:
    found = _address(text)
    if found is None:
        raise ValueError(text)
    if not 0 < int(found[3]) <= 65535:
        raise Complaint("is not a port (1 to 65535)", shown=found[3])
    return Address(_bare(found[1] or found[2]), int(found[3]))


def _split(text: str, schemes: tuple[str, ...]) -> SplitResult:
    """The parts of a URL of one of the schemes, with a host; raises ValueError."""
    parts = urlsplit(text)
    if not _printable(text) or parts.scheme not in schemes:
        raise ValueError
    if "@" in parts.netloc:
        raise Complaint("holds user information, which leaks into logs; write the URL without")
    _bare(parts.hostname or "")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise Complaint("has a port that is not one (1 to 65535)")
    return parts


def _refuse_rest(parts: SplitResult, *, path: bool = False, query: bool = False) -> None:
    if parts.fragment or (parts.query and not query):
        raise Complaint("has a query or fragment; write the URL without")
    if parts.path.strip("/") and not path:
        raise Complaint("has a path, which requests bring themselves; write SCHEME://HOST:PORT")


def _url(*, query: bool) -> Callable[[str], str]:
    def parse(text: str) -> str:
        _refuse_rest(_split(text, ("http", "https")), path=True, query=query)
        return text

    return parse


def _target(text: str) -> Target:
    parts = _split(text, ("http", "https"))
    _refuse_rest(parts)
    tls = parts.scheme == "https"
    return Target(tls, _bare(parts.hostname or ""), parts.port or (443 if tls else 80))


def _store(text: str) -> str:
    if text in LOCAL_STORES:
        return text
    if text.startswith("unix://"):
        return _socket(text)
    parts = _split(text, ("redis", "rediss"))
    if parts.query or parts.fragment:
        raise Complaint("has options; write ca, password, prefix and timeout beside url")
    if not _database(parts.path):
        raise Complaint("has a path that is not the number of a database")
    return text


def _socket(text: str) -> str:
    parts = urlsplit(text)
    if not _printable(text) or parts.netloc or parts.query or parts.fragment or len(parts.path) < 2:
        raise ValueError
    return text


def _service_host(text: str) -> str:
    wildcard = "*." if text.startswith("*.") else ""
    return wildcard + _canonical(text.removeprefix(wildcard))


def _service_path(text: str) -> str:
    try:
        parse_prefix(text)
        spelled = normalise(text.encode())
    except (ValueError, BadRequest) as error:
        raise Complaint(f"is not a service's path: {error}", shown=text) from None
    if spelled != (text.encode(), b""):
        raise Complaint("is not how requests spell a path (one / between segments, no dots, no query)", shown=text)
    if text != "/" and text.endswith("/"):
        raise Complaint("ends with '/'; leave that out: a path holds for all below it", shown=text)
    return text


_token = matching(r"[A-Za-z0-9!#$%&'*+.^`|~-]+")  # without `_`: such headers are dropped at the door


def _header(text: str) -> str:
    _token(text)
    if text.lower() in FORBIDDEN_HEADERS:
        raise Complaint(f"cannot carry a key: {FORBIDDEN_HEADERS[text.lower()]}", shown=text)
    return text


_NETWORK = "an address or a network, such as 10.0.0.0/8 or fd00::/8"
_URL = "a URL such as https://sso.example.com/realms/demo"
_ADDRESS = "an address and port, such as 0.0.0.0:8080 or [::]:8080"
_SERVER = "a server's address and port, such as redis-1.internal:6379"
_TARGET = "a target such as https://orders.internal:8443"

Listen = Annotated[Address, Scalar(_ADDRESS, _listen, {"type": "string", "pattern": r"^[^ /]+:[0-9]{1,5}$"})]
Server = Annotated[Address, Scalar(_SERVER, _server, {"type": "string", "pattern": r"^[^ /]+:[0-9]{1,5}$"})]
Network = Annotated[IPv4Network | IPv6Network, Scalar(_NETWORK, _network, {"type": "string"})]
Url = Annotated[str, Scalar(_URL, _url(query=False), {"type": "string", "pattern": "^https?://"}, secret=True)]
Hook = Annotated[str, Scalar("a URL", _url(query=True), {"type": "string", "pattern": "^https?://"}, secret=True)]
TargetUrl = Annotated[Target, Scalar(_TARGET, _target, {"type": "string", "pattern": "^https?://"}, secret=True)]
StoreUrl = Annotated[
    str,
    Scalar(
        "embedded, memory, or a URL (redis:// rediss:// unix://)",
        _store,
        {"type": "string", "pattern": "^(embedded$|memory$|rediss?://|unix://)"},
        secret=True,
    ),
]
KeyPrefix = Annotated[str, Scalar("a prefix of keys ([A-Za-z0-9_.:-], 64 at most)", matching("[A-Za-z0-9_.:-]{1,64}"))]
HostName = Annotated[str, Scalar("a host such as api.example.com or *.example.com", _service_host)]
VerifyName = Annotated[str, Scalar("a host name or IP address", _canonical)]
ServicePath = Annotated[str, Scalar("a path such as /orders", _service_path, {"type": "string", "pattern": "^/"})]
Header = Annotated[str, Scalar("the name of a header (without _)", _header)]
QueryName = Annotated[str, Scalar("the name of a parameter", matching(r"[A-Za-z0-9_.~-]+"))]
