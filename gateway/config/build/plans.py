"""Plans: their services, what they allow, their limits and alerts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from gateway import model
from gateway.config.blocks.limits import Limit
from gateway.config.blocks.plans import Plan
from gateway.config.blocks.services import Service
from gateway.config.build.context import Context, Where
from gateway.config.build.limits import over_of, service_limits
from gateway.config.build.services import refuse_dead
from gateway.config.problems import Complaint, instead
from gateway.model import DownMode, Over, Period

BINS = (80, 100)  # percent, where a plan says nothing


def plan(name: str, block: Plan, services: Mapping[str, Service], context: Context) -> model.Plan:
    where: Where = ("plans", name)
    context.refer_each("service", block.services, (*where, "services"))
    context.refer_each("channel", block.alerts.to or [], (*where, "alerts", "to"))
    limits = tuple(_limits(name, block, context))
    _check_bins(block, limits, where, context)
    down = _down(block)
    theirs = [service_limits(service, services[service], down) for service in block.services if service in services]
    return model.Plan(
        name=name,
        services=tuple(block.services),
        allow=_allow(block, services, (*where, "allow"), context),
        limits=(*limits, *chain(*theirs)),
        down=down,
        channels=tuple(dict.fromkeys(block.alerts.to or ())),
    )


def _allow(
    block: Plan, services: Mapping[str, Service], where: Where, context: Context
) -> dict[str, tuple[model.Pattern, ...]]:
    for service, patterns in block.allow.items():
        if context.refer("service", service, (*where, service), on_key=True):
            _require_open(service, block, (*where, service), context)
        for position, pattern in enumerate(patterns):
            if service in services:
                refuse_dead(pattern, service, services[service], (*where, service, position), context)
    return {service: tuple(patterns) for service, patterns in block.allow.items()}


def _require_open(service: str, block: Plan, where: Where, context: Context) -> None:
    if service not in block.services:
        text = "is not among the plan's services; add it there"
        context.complain(where, Complaint(text, shown=service, on_key=True))


def _limits(plan: str, block: Plan, context: Context) -> Iterator[model.Limit]:
    seen: dict[tuple[str, str, str, str], Where] = {}
    for key, items in block.limits.items():
        service, _, metric = key.rpartition(".")
        where: Where = ("plans", plan, "limits", key)
        _check_metric(service, metric, block, where, context)
        for position, item in enumerate(items):
            limit = _limit(plan, service, metric, item, block)
            first = seen.setdefault((key, limit.period, limit.zone, limit.per), (*where, position))
            if first != (*where, position):
                text = f"counts the same as {context.path(first)}; one limit for a metric, period, time zone and per"
                context.complain((*where, position), Complaint(text))
            _check_share(limit, (*where, position), context)
            yield limit


def _limit(plan: str, service: str, metric: str, item: Limit, block: Plan) -> model.Limit:
    value, period = item.limit
    over = over_of(item, block.over)
    bins = sorted(at for at in set(block.alerts.at or BINS) if at <= 100 or over is Over.ALLOW)
    return model.Limit(
        plan=plan,
        service=service or None,
        metric=metric,
        period=period,
        zone=item.time_zone,
        per=item.per,
        value=value,
        over=over,
        shadow=item.shadow,
        bins=tuple(bins) if value else (),
        down=_down(block),
    )


def _down(block: Plan) -> model.Down:
    down = block.ledger_down
    return down if isinstance(down, model.Down) else down.down


def _check_share(limit: model.Limit, where: Where, context: Context) -> None:
    """With `local` each gateway has a unit of each limit that may refuse, in windows that begin anew."""
    down = limit.down
    if down.mode is not DownMode.LOCAL or limit.over is Over.ALLOW or not limit.value:
        return
    if limit.period is Period.ETERNITY:
        text = "never begins anew, so that no gateway can have a share of it; ledger_down: local needs another period"
        context.complain(where, Complaint(text))
    elif not limit.local:
        part = f"{float(100 * down.share):g}% of it, divided by {down.gateways}"
        text = f"leaves nothing to each gateway: {part}, is less than 1"
        context.complain(where, Complaint(f"{text}; use a larger share, or closed or open"))


def _check_metric(service: str, metric: str, block: Plan, where: Where, context: Context) -> None:
    """A limit's service is the plan's, and has the metric; without service, one of the plan's has it."""
    if service and not context.refer("service", service, where, on_key=True):
        return
    if service:
        _require_open(service, block, where, context)
    known = context.metrics(*([service] if service else block.services))
    if known is not None and metric not in known:
        whose = f"the service '{service}'" if service else "the plan's services"
        context.complain(where, Complaint(f"is not a metric of {whose}{instead(metric, known)}", metric, on_key=True))


def _check_bins(block: Plan, limits: tuple[model.Limit, ...], where: Where, context: Context) -> None:
    """Above 100 is reached only where a limit allows overage."""
    if any(limit.over is Over.ALLOW for limit in limits) or context.faulty(*map(str, where)):
        return
    for position, percent in enumerate(block.alerts.at or ()):
        if percent > 100:
            text = "is never reached: no limit of the plan has over: allow"
            context.complain((*where, "alerts", "at", position), Complaint(text, shown=str(percent)))
