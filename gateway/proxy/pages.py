"""Where pages of the gateway's own are on the traffic port.

An *open* page lies under a reserved path, is found before the gate and is for anybody. A *checked* one is what the
router's route leads to: the gate has admitted the request, and the page gets its Admission.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from gateway.model import Route, Service, Upstream
from gateway.proxy.backend import Way
from gateway.proxy.exchange import Exchange
from gateway.proxy.local import App, LocalCall

RESERVED = b"/."  # open pages begin so: most requests are told apart by these bytes
MAX_BODY = 64 * 1024  # bytes of a request's body, where nothing is said: a form


class Page:
    """An ASGI application at `path` and below: a `Backend`.

    It has a service of its own, whose name begins with a dot as no configured one does, for log and metrics.
    """

    def __init__(self, name: str, app: App, *, path: str, hosts: Iterable[str] = (), max_body: int = MAX_BODY) -> None:
        """`hosts` as a service's: none stands for any."""
        upstream = Upstream(name=f".{name}", targets=())
        self.service = Service(
            name=f".{name}",
            hosts=tuple(hosts),
            path=path,
            max_body=max_body,
            upstream=upstream,
            accept=(),
            rules=(),
        )
        self.route = Route(self.service, {}, path)
        self._app = app
        self._calls: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Page {self.service.name} at {self.service.path} {len(self._calls)} running>"

    def dispatch(self, exchange: Exchange) -> None:
        LocalCall(self._app, exchange, self._calls).begin()

    def sweep(self, now: float) -> None:
        """Nothing is kept."""

    def reload_certificates(self) -> None:
        """There are none."""

    def close(self) -> None:
        """What is under way is finished by itself."""


NONE: Mapping[Way, Page] = {}


class Pages:
    """The pages of one configuration."""

    def __init__(
        self, open_: Iterable[Page] = (), checked: Iterable[Page] = (), ways: Mapping[Way, Page] = NONE
    ) -> None:
        """Paths of open pages begin with a dot, as `/.sso`; raises ValueError for another. `ways` lead to checked pages
        beside the upstreams of services.
        """
        self._open = [
            (page.service.path.encode(), frozenset(h.encode() for h in page.service.hosts), page) for page in open_
        ]
        if any(not path.startswith(RESERVED) for path, _, _ in self._open):
            raise ValueError("an open page's path begins with '/.'")
        pages = [*(page for _, _, page in self._open), *checked]
        self.backends: Mapping[Way, Page] = {**{page.service: page for page in pages}, **ways}

    def find(self, host: bytes, path: bytes) -> Page | None:
        """The open page of a request; asked for paths that are RESERVED alone."""
        for prefix, hosts, page in self._open:
            if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b"", b"/") and among(host, hosts):
                return page
        return None


def among(host: bytes, hosts: frozenset[bytes]) -> bool:
    """By its name, or by `*.` and any of the domains that it is in."""
    if not hosts or host in hosts:
        return True
    _, dot, parent = host.partition(b".")
    while dot:
        if b"*." + parent in hosts:
            return True
        _, dot, parent = parent.partition(b".")
    return False


NO_PAGES = Pages()
