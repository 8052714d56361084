"""Plans: their services, what they allow, their limits and alerts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from gateway import model
from gateway.config.blocks.conditions import required
from gateway.config.blocks.limits import Limit
from gateway.config.blocks.over import behaviour_of
from gateway.config.blocks.plans import Plan
from gateway.config.blocks.services import Service
from gateway.config.build.context import Context, Where
from gateway.config.build.extends import Whole, counts_as
from gateway.config.build.limits import check_upstream, over_of, service_limits
from gateway.config.build.pricing import check_counted, meters, pricing
from gateway.config.build.services import refuse_dead
from gateway.config.problems import Complaint, instead
from gateway.model import DownMode, Kind, Over, Per, Period

FORECAST = (Period.DAY, Period.WEEK, Period.MONTH, Period.YEAR)
BINS = (80, 100)  # percent, where a plan says nothing


def plan(whole: Whole, services: Mapping[str, Service], context: Context) -> model.Plan:
    """Complains of what is written in it; of what it extends, only where it does not fit together."""
    where: Where = ("plans", whole.name)
    written, block = whole.written, whole.block
    context.refer_each("service", written.services or [], (*where, "services"))
    context.refer_each("channel", written.alerts.to or [], (*where, "alerts", "to"))
    _check_allow(whole, services, (*where, "allow"), context)
    limits = tuple(_limits(whole, context))
    _check_bins(written, limits, where, context)
    _check_forecast(written, limits, where, context)
    _check_upstreams(whole, services, context)
    if written.pricing is not None:
        for key in written.pricing.metrics:
            service, _, metric = key.rpartition(".")
            _check_metric(service, metric, whole, (*where, "pricing", "metrics", key), context)
        check_counted(whole.name, block, limits, (*where, "pricing"), context)
    down, prices = _down(block), pricing(block)
    theirs = [service_limits(service, services[service], down) for service in whole.services if service in services]
    return model.Plan(
        name=whole.name,
        services=tuple(whole.services),
        allow={service: tuple(patterns) for service, patterns in block.allow.items()},
        limits=(*limits, *meters(whole.name, prices, down, limits), *chain(*theirs)),
        pricing=prices,
        down=down,
        require=required(block.require),
        channels=tuple(dict.fromkeys(block.alerts.to or ())),
    )


def _check_allow(whole: Whole, services: Mapping[str, Service], where: Where, context: Context) -> None:
    for service, patterns in whole.written.allow.items():
        if context.refer("service", service, (*where, service), on_key=True):
            _require_open(service, whole, (*where, service), context)
        for position, pattern in enumerate(patterns):
            if service in services:
                refuse_dead(pattern, service, services[service], (*where, service, position), context)


def _require_open(service: str, whole: Whole, where: Where, context: Context) -> None:
    if whole.services and service not in whole.services:
        text = "is not among the plan's services; add it there"
        context.complain(where, Complaint(text, shown=service, on_key=True))


def _limits(whole: Whole, context: Context) -> Iterator[model.Limit]:
    for key, items in whole.block.limits.items():
        service, _, metric = key.rpartition(".")
        if key in whole.written.limits:
            _check_metric(service, metric, whole, ("plans", whole.name, "limits", key), context)
        seen: dict[object, Where] = {}
        for position, item in enumerate(items):
            where = whole.at(key, position)
            limit = limit_of(whole.name, service, metric, item, whole.block)
            first = seen.setdefault(counts_as(item), where)
            if first != where:
                text = f"counts the same as {context.path(first)}; one limit for a metric, period, time zone and per"
                context.complain(where, Complaint(text))
            _check_share(limit, where, context)
            check_suspends(limit, where, context)
            yield limit


def limit_of(plan: str, service: str, metric: str, item: Limit, block: Plan) -> model.Limit:
    """As a plan has it that says the rest."""
    value, period = item.amount
    over = over_of(item, behaviour_of(block.over))
    bins = sorted(at for at in set(block.alerts.at or BINS) if at <= 100 or over.over is Over.ALLOW)
    return model.Limit(
        plan=plan,
        service=service or None,
        metric=metric,
        period=period,
        zone=item.time_zone,
        per=item.per,
        kind=item.kind,
        value=value,
        burst=item.most,
        over=over.over,
        upstream=over.upstream,
        wait=over.wait,
        places=over.places,
        shadow=item.shadow,
        bins=tuple(bins) if value and item.limit else (),
        forecast=bool(value and item.limit) and block.alerts.forecast and period in FORECAST,
        down=_down(block),
    )


def _check_upstreams(whole: Whole, services: Mapping[str, Service], context: Context) -> None:
    """Each service that a limit is over has the upstream that serves what is over the limit."""
    places: dict[tuple[str, str], Where] = {}
    own = "over" if "over" in whole.written.model_fields_set else "extends"
    for key, items in whole.block.limits.items():
        service = key.rpartition(".")[0]
        for position, item in enumerate(items):
            over = over_of(item, behaviour_of(whole.block.over))
            at = whole.at(key, position) if item.over is not None else ("plans", whole.name, own)
            where = at if at[-1] == "extends" else (*at, "over", "degrade") if item.over else (*at, "degrade")
            for name in [service] if service else whole.services:
                if over.upstream is not None and name in services:
                    places.setdefault((name, over.upstream), where)
    for (name, upstream), where in places.items():
        check_upstream(upstream, name, services[name], where, context)


def _down(block: Plan) -> model.Down:
    down = block.ledger_down
    return down if isinstance(down, model.Down) else down.down


def _check_share(limit: model.Limit, where: Where, context: Context) -> None:
    """With `local` each gateway has a unit of each limit that may refuse, in windows that begin anew."""
    down = limit.down
    shown = str(limit) if where[-1] == "extends" else None
    if down.mode is not DownMode.LOCAL or limit.over is Over.ALLOW or not limit.value or limit.kind is not Kind.WINDOW:
        return
    if limit.period is Period.ETERNITY:
        text = "never begins anew, so that no gateway can have a share of it; ledger_down: local needs another period"
        context.complain(where, Complaint(text, shown))
    elif not limit.local:
        part = f"{float(100 * down.share):g}% of it, divided by {down.gateways}"
        text = f"leaves nothing to each gateway: {part}, is less than 1"
        context.complain(where, Complaint(f"{text}; use a larger share, or closed or open", shown))


def check_suspends(limit: model.Limit, where: Where, context: Context) -> None:
    """Who is suspended is remembered by name until somebody resumes it."""
    if limit.over is Over.SUSPEND and limit.per in (Per.ADDRESS, Per.SERVICE):
        whom = (
            "addresses, which are nobody's name" if limit.per is Per.ADDRESS else "all applications of the plan at once"
        )
        text = f"would suspend {whom}; over: suspend is for limits per application, user or account"
        context.complain(where, Complaint(text, str(limit) if where[-1] == "extends" else None))


def _check_metric(service: str, metric: str, whole: Whole, where: Where, context: Context) -> None:
    """A limit's service is the plan's, and has the metric; without service, one of the plan's has it."""
    if service and not context.refer("service", service, where, on_key=True):
        return
    if service:
        _require_open(service, whole, where, context)
    if not service and not whole.services:
        return  # what it extends is faulty
    known = context.metrics(*([service] if service else whole.services))
    if known is not None and metric not in known:
        whose = f"the service '{service}'" if service else "the plan's services"
        context.complain(where, Complaint(f"is not a metric of {whose}{instead(metric, known)}", metric, on_key=True))


def _check_forecast(block: Plan, limits: tuple[model.Limit, ...], where: Where, context: Context) -> None:
    if block.alerts.forecast and not any(limit.forecast for limit in limits) and not context.faulty(*map(str, where)):
        text = "has nothing to tell: no limit of the plan is per day, week, month or year"
        context.complain((*where, "alerts", "forecast"), Complaint(text))


def _check_bins(block: Plan, limits: tuple[model.Limit, ...], where: Where, context: Context) -> None:
    """Above 100 is reached only where a limit allows overage."""
    if any(limit.over is Over.ALLOW for limit in limits) or context.faulty(*map(str, where)):
        return
    for position, percent in enumerate(block.alerts.at or ()):
        if percent > 100:
            text = "is never reached: no limit of the plan has over: allow"
            context.complain((*where, "alerts", "at", position), Complaint(text, shown=str(percent)))
