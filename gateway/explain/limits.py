"""What of each limit is spent, and what one request more would mean."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

from gateway.explain.step import Step, Verdict, note, ok
from gateway.model import NO_PLAN, Charge, Kind, Limit, Over, Per
from gateway.quota.adjust import Account
from gateway.quota.crossings import metric_of
from gateway.store import StoreError


class Reader(Protocol):
    async def read(self, scope: str, limits: list[Limit]) -> list[Account]:
        """What a scope has used of limits, in the windows that are open. Raises StoreError."""


async def explain_limits(charges: tuple[Charge, ...], scopes: Mapping[Per, str], reader: Reader | None) -> list[Step]:
    """`reader` None: what was counted cannot be told."""
    held = [charge for charge in charges if not charge.limit.meter]
    if not held:
        return [ok("limits", "none applies")]
    steps = []
    for per in Per:
        some = [charge for charge in held if charge.limit.per is per]
        counted = [charge for charge in some if charge.limit.kind is Kind.WINDOW]
        steps += [_uncounted(charge) for charge in some if charge.limit.kind is not Kind.WINDOW]
        if counted:
            steps += await _counted(counted, scopes[per], reader)
    return steps


async def _counted(charges: list[Charge], scope: str, reader: Reader | None) -> list[Step]:
    try:
        accounts = [] if reader is None else await reader.read(scope, [charge.limit for charge in charges])
    except StoreError:
        accounts = []
    if not accounts:
        return [_uncounted(charge) for charge in charges]
    return [_step(scope, charge, account) for charge, account in zip(charges, accounts, strict=True)]


def _uncounted(charge: Charge) -> Step:
    """Of what is in use by the moment, or cannot be read."""
    about, text = _about(charge.limit), f"{charge.limit}; this request costs {charge.cost}"
    if charge.limit.value == 0 and not charge.limit.shadow:
        return Step(Verdict.REFUSED, about, f"a limit of 0; {text}", "not_in_plan", 403)
    return note(about, f"{text}; what is in use is not told{_patience(charge)}")


def _patience(charge: Charge) -> str:
    """Of what is told while it is not known how much is in use."""
    limit, most = charge.limit, charge.limit.burst if charge.limit.kind is Kind.RATE else charge.limit.value
    if limit.over is not Over.WAIT:
        return ""
    if charge.cost > most:
        return f"; that is more than the {most} that there ever are at once, so it is refused without waiting"
    return f"; over it, a request waits for its turn up to {limit.wait:g} s"


def _about(limit: Limit) -> str:
    return f"limit {metric_of(limit)}/{limit.span}" + (" of the service" if limit.plan == NO_PLAN else "")


def _step(scope: str, charge: Charge, account: Account) -> Step:
    limit, here, units = account
    most = max(limit.value, limit.leased + units.topped)
    about = _about(limit)
    until = "for ever" if here.end is None else f"until {datetime.fromtimestamp(here.end, UTC):%Y-%m-%d %H:%M:%S UTC}"
    held = f", {units.held} in gateways' hands" if units.held else ""
    text = f"{units.spent} of {most} spent by {scope} {until}{held}; this request costs {charge.cost}"
    if limit.value == 0 and not limit.shadow:
        return Step(Verdict.REFUSED, about, f"a limit of 0; {text}", "not_in_plan", 403)
    if units.spent + charge.cost <= most:
        return ok(about, text)
    if limit.over is Over.WAIT and not limit.shadow and charge.cost > limit.value:
        return Step(
            Verdict.REFUSED, about, f"{text}: more than there ever is, so waiting does not help", "over_limit", 429
        )
    return _over(limit, about, f"{text}: over")


def _over(limit: Limit, about: str, text: str) -> Step:
    match Over.ALLOW if limit.shadow else limit.over:
        case Over.ALLOW:
            return note(about, f"{text}, and in shadow" if limit.shadow else f"{text}, and counted on")
        case Over.DEGRADE:
            return note(about, f"{text}, so served by the upstream {limit.upstream}")
        case Over.WAIT:
            return note(
                about, f"{text}, so it waits up to {limit.wait:g} s if its turn can come in time, else is refused"
            )
        case Over.SUSPEND:
            return Step(Verdict.REFUSED, about, f"{text}, which suspends it", "application_suspended", 403)
        case _:
            return Step(Verdict.REFUSED, about, text, "over_limit", 429)
