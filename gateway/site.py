"""One configuration as a worker serves it: compiled aside, then taken whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from gateway.gate import Gate, Ledger, Permits, Turns
from gateway.identity.calls import OnCall, nobody
from gateway.identity.passport import Passport
from gateway.model import USAGE_PAGE, Application, Config, Identity, Plan, Service, Upstream
from gateway.outward import board, keys_page, onward, signing_keys
from gateway.pages.standings import Standings
from gateway.pages.usage import Reader, UsagePage
from gateway.proxy.backend import Backend, Way
from gateway.proxy.pages import Page, Pages
from gateway.proxy.pool import Pool
from gateway.proxy.terms import Terms
from gateway.quota.memory import MemoryLedger
from gateway.quota.reading import StoreReader
from gateway.quota.refusals import Refusals
from gateway.quota.suspensions import Suspensions
from gateway.routing.router import Router, compile_permits, compile_router
from gateway.store.replays import Replays
from gateway.store.shared import Shared

if TYPE_CHECKING:
    from gateway.sign_on import SignOn


@dataclass(frozen=True, slots=True)
class Site:
    """The passport asks providers from `start` to `close`; pools open no connection by themselves."""

    config: Config
    passport: Passport
    router: Router
    gate: Gate
    pools: Mapping[Way, Pool]
    onward: Mapping[Way, Backend]  # what stands before some of them
    pages: Pages  # of the gateway's own
    terms: Sequence[Terms]  # of the listeners
    sign_on: SignOn | None  # to be closed; None: nobody signs in


def build_site(
    config: Config,
    ledger: Ledger,
    shared: Shared,
    refusals: Refusals,
    loop: asyncio.AbstractEventLoop,
    before: Site | None = None,
    *,
    clock: Callable[[], float] = time.time,
    on_call: OnCall = nobody,
    turns: Turns | None = None,
) -> Site:
    """May run in a thread beside `loop`, which will use it. Providers and pools that have not changed since `before`
    are its own; what remembers requests' decisions is new.

    `clock` gives Unix seconds; `on_call` counts what providers are asked. Raises ValueError, OSError or ssl.SSLError
    for what cannot be used.
    """
    sign_on = sign_on_of(config, shared, clock)
    passport = passport_of(config, shared, sign_on, None if before is None else before.passport, clock, on_call)
    known = {} if before is None else {pool.upstream: pool for pool in before.pools.values()}
    ways = [way for service in config.services.values() for way in ways_of(service)]
    pools = {way: known.get(upstream) or Pool(upstream, loop) for way, upstream in ways}
    router = compile_router(config.services.values())
    suspensions = Suspensions(shared.marks)
    permits, counted = permits_of(config), refusals.count
    gate = Gate(
        config,
        router,
        passport,
        ledger,
        permits,
        identity_lines,
        suspensions=suspensions,
        on_refused=counted,
        step_up=None if sign_on is None else sign_on.door.step_up,
        turns=turns,
        clock=clock,
    )
    keys = signing_keys(config)
    published = [] if keys is None else [keys_page(config, board(config, keys, shared.records))]
    usage = usage_page(config, ledger, shared)
    if sign_on is not None:
        from gateway.sign_on import sign_on_pages

        standings = None if usage is None else Standings(config, usage)
        published += sign_on_pages(config, sign_on, passport, router, standings, clock)
    pages = Pages(published, ways=usage_pages(config, usage))
    terms = [Terms(listener) for listener in config.listen]
    return Site(config, passport, router, gate, pools, onward(config, passport, keys, pools), pages, terms, sign_on)


def passport_of(
    config: Config,
    shared: Shared,
    sign_on: SignOn | None,
    before: Passport | None,
    clock: Callable[[], float],
    on_call: OnCall,
) -> Passport:
    return Passport(
        config.providers,
        config.applications.values(),
        certificates=config.certificates,
        tolerance=config.limits.invalid_credentials,
        marks=shared.marks,
        replays=Replays(shared.records),
        sign_on=None if sign_on is None else sign_on.door,
        before=before,
        clock=clock,
        on_call=on_call,
    )


def sign_on_of(config: Config, shared: Shared, clock: Callable[[], float]) -> SignOn | None:
    """None where no service has people sign in: a worker does without its libraries then, some 20 MB."""
    if not any(line.sign_in for service in config.services.values() for line in service.accept):
        return None
    from gateway.sign_on import build_sign_on

    return build_sign_on(config, shared, clock)


def usage_page(config: Config, ledger: Ledger, shared: Shared) -> UsagePage | None:
    """What tells of usage; None: nothing can be read."""
    reader: Reader | None = ledger if isinstance(ledger, MemoryLedger) else None
    if shared.lines is not None:
        reader = StoreReader(shared.lines, config.store.prefix)
    return None if reader is None else UsagePage(config, reader)


def usage_pages(config: Config, usage: UsagePage | None) -> dict[Way, Page]:
    """Where clients read their own usage."""
    if usage is None:
        return {}
    page = Page("usage", usage, path="/")
    return {(service, USAGE_PAGE): page for service in config.services.values() if service.usage_path}


def ways_of(service: Service) -> list[tuple[Way, Upstream]]:
    """What leads to each of a service's upstreams, its default one first."""
    others: list[tuple[Way, Upstream]] = [((service, name), one) for name, one in service.upstreams.items()]
    return [(service, service.upstream), *others]


def permits_of(config: Config) -> dict[tuple[str, str], Permits]:
    """A matcher for each plan and service where the plan lists what it allows."""
    return {
        (plan.name, service): compile_permits(patterns)
        for plan in config.plans.values()
        for service, patterns in plan.allow.items()
    }


def identity_lines(application: Application, plan: Plan, identity: Identity) -> bytes:
    """The identity headers for the service; a subject is percent-encoded where it is not plain."""
    lines = [f"x-application-id: {application.name}", f"x-plan: {plan.name}"]
    if identity.subject:
        lines.append(f"x-subject: {quote(identity.subject, safe=SUBJECT_SAFE)}")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


SUBJECT_SAFE = "!$&'()*+,/:;=@|{}[]<>^`\"?#"


def connection_counts(pools: Mapping[Way, Pool]) -> dict[tuple[str, str], int]:
    """Connections by (upstream, state)."""
    counts: dict[tuple[str, str], int] = {}
    for pool in pools.values():
        total, idle = pool.counts()
        counts[pool.upstream.name, "open"] = counts.get((pool.upstream.name, "open"), 0) + total
        counts[pool.upstream.name, "idle"] = counts.get((pool.upstream.name, "idle"), 0) + idle
    return counts
