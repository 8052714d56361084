"""Prices of plans, and the counters that they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gateway import model
from gateway.config.blocks.plans import Plan
from gateway.config.build.context import Context, Where
from gateway.config.problems import Complaint
from gateway.model import Over, Per, Period

MOST = 10**15  # as a limit's value: what stores count exactly, with room to add


def pricing(block: Plan) -> model.Pricing | None:
    written = block.pricing
    if written is None:
        return None
    return model.Pricing(
        currency=written.currency,
        zone=written.time_zone,
        monthly=written.monthly,
        setup=written.setup,
        metrics={
            metric: tuple(model.Range(item.upto, item.price) for item in items)
            for metric, items in written.metrics.items()
        },
    )


def meters(
    plan: str, prices: model.Pricing | None, down: model.Down, limits: Iterable[model.Limit]
) -> list[model.Limit]:
    """What counts the months of priced metrics, where no limit does."""
    counted = {_counter(limit) for limit in limits if limit.period is Period.MONTH}
    return [meter for meter in _meters(plan, prices, down) if _counter(meter) not in counted]


def check_counted(name: str, block: Plan, limits: Iterable[model.Limit], where: Where, context: Context) -> None:
    """A limit that degrades does not count what is served from elsewhere, so it cannot be what prices go by."""
    priced = {_counter(meter): meter for meter in _meters(name, pricing(block), model.Down())}
    for limit in limits:
        if limit.over is Over.DEGRADE and _counter(limit) in priced:
            text = "is priced by what a limit per month counts, which degrades; give prices or limit another time zone"
            context.complain((*where, "metrics", _named(limit)), Complaint(text, _named(limit), on_key=True))


def _meters(plan: str, prices: model.Pricing | None, down: model.Down) -> Iterator[model.Limit]:
    metrics: Mapping[str, object] = {} if prices is None else prices.metrics
    for key in metrics:
        assert prices is not None
        service, _, metric = key.rpartition(".")
        yield model.Limit(
            plan=plan,
            service=service or None,
            metric=metric,
            period=Period.MONTH,
            zone=prices.zone,
            value=MOST,
            over=Over.ALLOW,
            meter=True,
            down=down,
        )


def _counter(limit: model.Limit) -> tuple[str | None, str, str, str, Per]:
    return limit.service, limit.metric, limit.period, limit.zone, limit.per


def _named(limit: model.Limit) -> str:
    return f"{limit.service}.{limit.metric}" if limit.service else limit.metric
