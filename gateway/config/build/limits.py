"""The limits of services themselves. They hold for each plan that opens the service, over the same counters."""

from __future__ import annotations

from collections.abc import Iterator

from gateway import model
from gateway.config.blocks.limits import ServiceLimit
from gateway.config.blocks.over import Behaviour, behaviour_of
from gateway.config.blocks.services import Service
from gateway.config.build.context import Context, Where
from gateway.config.problems import Complaint, instead
from gateway.model import Down, DownMode, Over, Per

REJECT = Behaviour(Over.REJECT)
COUNTED = (Over.ALLOW, Over.SUSPEND)  # only for what is counted in windows


def over_of(item: ServiceLimit, default: Behaviour) -> Behaviour:
    """What happens over a limit, where nothing is said: `default`."""
    if item.shadow:
        return Behaviour(Over.ALLOW)
    if not item.amount[0]:
        return REJECT
    if item.over is not None:
        return behaviour_of(item.over)
    return REJECT if item.limit is None and default.over in COUNTED else default


def check_upstream(name: str, service: str, block: Service, where: Where, context: Context) -> None:
    """One that limits degrade to is the service's, and not the one that serves anyway."""
    known = tuple(block.upstreams or ())
    if name not in known:
        cure = instead(name, known) if known else "; name several in its upstreams"
        text = f"is not an upstream of the service '{service}'{cure}"
        context.complain(where, Complaint(text, shown=name))
    elif name == known[0]:
        text = f"is where all requests to the service '{service}' go, as the first of its upstreams; name another"
        context.complain(where, Complaint(text, shown=name))


def service_limits(name: str, block: Service, down: Down) -> Iterator[model.Limit]:
    """As a plan with this `ledger_down` has them. There are no local shares of them: then a plan's own limits say how
    many are let in while the store is away.
    """
    apart = Down(mode=DownMode.OPEN) if down.mode is DownMode.LOCAL else down
    for metric, items in block.limits.items():
        for item in items:
            value, period = item.amount
            over = over_of(item, REJECT)
            yield model.Limit(
                plan=model.NO_PLAN,
                service=name,
                metric=metric,
                period=period,
                zone=item.time_zone,
                per=Per.SERVICE,
                kind=item.kind,
                value=value,
                burst=item.most,
                over=over.over,
                upstream=over.upstream,
                wait=over.wait,
                places=over.places,
                shadow=item.shadow,
                down=apart,
            )


def check_service_limits(name: str, block: Service, context: Context) -> None:
    """Each is of a metric that the service has, and no two count the same."""
    known = context.metrics(name) or frozenset()
    for metric, items in block.limits.items():
        where: Where = ("services", name, "limits", metric)
        if metric not in known:
            text = f"is not a metric of this service{instead(metric, known)}"
            context.complain(where, Complaint(text, metric, on_key=True))
        seen: dict[tuple[str, str, str], Where] = {}
        for position, item in enumerate(items):
            over = over_of(item, REJECT)
            if over.over is Over.SUSPEND:
                text = "would suspend all that call the service; say it in a plan"
                context.complain((*where, position, "over"), Complaint(text, shown=Over.SUSPEND.value))
            if over.upstream is not None:
                check_upstream(over.upstream, name, block, (*where, position, "over", "degrade"), context)
            first = seen.setdefault((item.kind, item.amount[1], item.time_zone), (*where, position))
            if first != (*where, position):
                text = f"counts the same as {context.path(first)}; one limit for a metric, period and time zone"
                context.complain((*where, position), Complaint(text))
