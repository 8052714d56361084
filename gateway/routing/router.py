"""The hall: host and path → service, its mapping rules → usage.

A path takes three forms. As *sent on* it is what `http.path` made of the client's. *Decoded*, so that `%40me` is `@me`,
it is matched. *Bare*, without path parameters, is how many servers read `/orders;v=1/bulk`: where that would be charged
otherwise, the request is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import unquote_to_bytes

from gateway.errors import BadRequest, NotFound
from gateway.model import USAGE_PAGE, Pattern, Route, Rule, Service
from gateway.routing.index import Entry, Index, Prefixes
from gateway.routing.patterns import ANY, METHODS, Compiled, parse, parse_method, parse_prefix

_ANY_HOST = ""
KNOWN = 1024  # requests whose route is remembered
LONGEST_KNOWN = 512  # bytes of host, path and query of one that is
ROUTES = 4096  # combinations of a service's rules that are kept; a route is about 0.5 KB

_without_parameters = re.compile(rb";[^/]*").sub


class Router:
    """Finds a request's service and usage; what was found of late is remembered."""

    def __init__(self, services: Iterable[Service]) -> None:
        """ValueError for services with an equal host and path, or rules that cannot be compiled."""
        by_host: dict[str, dict[bytes, ServiceRules]] = {}
        for service in services:
            rules = ServiceRules(service)
            for host in service.hosts or (_ANY_HOST,):
                by_path = by_host.setdefault(host.lower(), {})
                if rules.prefix in by_path:
                    raise ValueError(f"{service.name} and {by_path[rules.prefix].name} have an equal host and path")
                by_path[rules.prefix] = rules
        self._exact = {
            host.encode(): Prefixes({unquote_to_bytes(path) + b"/": rules for path, rules in by_path.items()})
            for host, by_path in by_host.items()
        }
        self._wildcards = any(host.startswith("*.") for host in by_host)
        self._known: dict[tuple[bytes, bytes, bytes, bytes], Route] = {}

    def parts(self) -> list[ServiceRules]:
        """All that takes time to free."""
        return [rules for prefixes in self._exact.values() for rules in prefixes.values()]

    def route(self, method: bytes, host: bytes, path: bytes, query: bytes) -> Route:
        """The service and usage; raises NotFound (no_service, no_rule), or BadRequest for an ambiguous path.

        `host` is in lower case without port, `path` normalised, `query` as sent. A host that is named goes before
        `*.example.com`, that before services of any host; then the longest path wins.
        """
        request = method, host, path, query
        route = self._known.get(request)
        if route is None:
            route = self._route(method, host, path, query)
            if len(host) + len(path) + len(query) <= LONGEST_KNOWN:
                if len(self._known) >= KNOWN:
                    self._known.clear()
                self._known[request] = route
        return route

    def _route(self, method: bytes, host: bytes, path: bytes, query: bytes) -> Route:
        decoded = unquote_to_bytes(path) if b"%" in path else path
        rules = self._find(host, decoded + b"/")
        if rules is None:
            raise NotFound("no service for this host and path", code="no_service")
        if decoded is not path and not path.startswith(rules.prefix):  # or the prefix could not be stripped
            raise BadRequest("the path spells the service's own path with needless encodings")
        route = rules.route(method, decoded, query)
        if b";" in decoded:
            self._require_same(route, method, host, _without_parameters(b"", decoded), query)
        return route

    def _find(self, host: bytes, key: bytes) -> ServiceRules | None:
        named = self._exact.get(host)
        found = named.longest(key) if named is not None else None
        if found is None and self._wildcards:
            found = self._find_wildcard(host, key)
        if found is None and (anywhere := self._exact.get(b"")) is not None:
            found = anywhere.longest(key)
        return found

    def _find_wildcard(self, host: bytes, key: bytes) -> ServiceRules | None:
        """`*.example.com` takes any number of labels; the longest name goes first."""
        _, dot, parent = host.partition(b".")
        while dot:
            paths = self._exact.get(b"*." + parent)
            found = paths.longest(key) if paths is not None else None
            if found is not None:
                return found
            _, dot, parent = parent.partition(b".")
        return None

    def _require_same(self, route: Route, method: bytes, host: bytes, bare: bytes, query: bytes) -> None:
        found = self._find(host, bare + b"/")
        other = found.route(method, bare, query) if found is not None else None
        if other is None or (other.service, other.usage, other.requires, other.measures) != (
            route.service,
            route.usage,
            route.requires,
            route.measures,
        ):
            raise BadRequest("the path's parameters (';…') change which mapping rules match")


class ServiceRules:
    """A service's mapping rules: which of them match a request, and the route for that set of them."""

    def __init__(self, service: Service) -> None:
        self.name = service.name
        self.prefix = parse_prefix(service.path)
        self._service = service
        self._indexes = _by_method([_compiled(rule) for rule in service.rules], [rule.last for rule in service.rules])
        self._routes: dict[int, Route] = {}
        usage = service.usage_path
        self._page = None if usage is None else unquote_to_bytes(usage)
        self._page_route = Route(
            service, {}, usage or "", () if service.require is None else (service.require,), USAGE_PAGE
        )
        self._last = sum(1 << place for place, rule in enumerate(service.rules) if rule.last)

    def route(self, method: bytes, path: bytes, query: bytes) -> Route:
        """The same object for the same rules; raises NotFound where none matches."""
        if path == self._page and method in (b"GET", b"HEAD"):
            return self._page_route
        index = self._indexes.get(method) or self._indexes[b"ANY"]
        matched = index.matches(path, query)
        return self._routes.get(matched) or self._make(matched)

    def _make(self, matched: int) -> Route:
        if not matched:
            error = NotFound(f"no mapping rule of {self.name!r} matches", code="no_rule")
            error.service = self._service
            raise error
        last = matched & self._last
        counted = matched & (((last & -last) << 1) - 1) if last else matched
        route = self._routes.get(counted) or _route(self._service, counted)
        while len(self._routes) >= ROUTES - 1:
            del self._routes[next(iter(self._routes))]
        self._routes[matched] = self._routes[counted] = route
        return route


def compile_router(services: Iterable[Service]) -> Router:
    """A router over services with distinct hosts and paths; ValueError names what is wrong."""
    return Router(services)


def compile_permits(patterns: Sequence[Pattern]) -> Callable[[bytes, bytes, bytes], bool]:
    """A test of (method, path, query) against a plan's `allow`: whether any pattern matches.

    A repeated parameter must have the pattern's value each time, and path parameters must not make the difference.
    """
    compiled = [(parse_method(pattern.method), parse(pattern.pattern)) for pattern in patterns]
    indexes = _by_method(compiled, [True] * len(compiled))
    anything = indexes[b"ANY"]

    def permits(method: bytes, path: bytes, query: bytes) -> bool:
        index = indexes.get(method) or anything
        decoded = unquote_to_bytes(path) if b"%" in path else path
        if not index.matches(decoded, query):
            return False
        return b";" not in decoded or bool(index.matches(_without_parameters(b"", decoded), query))

    return permits


def _compiled(rule: Rule) -> tuple[str, Compiled]:
    return parse_method(rule.method), parse(rule.pattern)


def _by_method(patterns: Sequence[tuple[str, Compiled]], every: Sequence[bool]) -> dict[bytes, Index]:
    """An index for each method, with the patterns of ANY in each. Pattern n has bit n.

    Where a match is to the client's gain (a permit, a rule that is `last`) `every` value of a parameter must be equal.
    """
    entries = [(method, Entry(1 << n, pattern, every[n])) for n, (method, pattern) in enumerate(patterns)]
    return {
        method.encode(): Index(entry for of, entry in entries if of in (method, ANY))
        for method in METHODS
        if method == ANY or any(of == method for of, _ in entries)
    }


def _route(service: Service, counted: int) -> Route:
    rules = [rule for place, rule in enumerate(service.rules) if counted >> place & 1]
    usage: dict[str, int] = {}
    for rule in rules:
        for metric, delta in rule.usage.items():
            for counted_too in service.with_ancestors(metric):
                usage[counted_too] = usage.get(counted_too, 0) + delta
    asked = (service.require, *(rule.require for rule in rules))
    requires = tuple(require for require in asked if require is not None)
    measures = tuple(measure for rule in rules for measure in rule.measures)
    measured = frozenset(metric for measure in measures for metric in service.with_ancestors(measure.metric))
    unsure = frozenset(usage) if service.charge.except_status else measured
    return Route(service, usage, ", ".join(rule.pattern for rule in rules), requires, unsure=unsure, measures=measures)
