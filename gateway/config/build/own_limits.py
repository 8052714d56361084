"""Limits of single applications, in place of those of their plans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from gateway import model
from gateway.config.blocks import File
from gateway.config.blocks.limits import Limit
from gateway.config.blocks.over import Behaviour
from gateway.config.build.context import Context, Where
from gateway.config.build.extends import Whole, counts_as
from gateway.config.build.limits import check_upstream
from gateway.config.build.plans import check_suspends, limit_of
from gateway.config.build.pricing import meters
from gateway.config.problems import Complaint, choices, instead
from gateway.model import NO_PLAN, Down, DownMode, Kind, Per, Period

OTHERS = (Per.ACCOUNT, Per.SERVICE)  # whose counters are not one application's
Key = tuple[str | None, str, Kind, Period, str, Per]


class OwnLimits:
    """Of one application. `plans` are its own, as the model has them; `wholes` as they are written."""

    def __init__(
        self, name: str, file: File, plans: list[model.Plan], wholes: Mapping[str, Whole], context: Context
    ) -> None:
        self._where: Where = ("applications", name)
        self._block = file.applications[name]
        self._services = file.services
        self._plans = plans
        self._wholes = wholes
        self._context = context
        self._found = {plan.name: {_key(limit): limit for limit in plan.limits} for plan in plans}

    def built(self) -> dict[str, tuple[model.Limit, ...]]:
        """By plan, all limits that hold, of those plans where they differ."""
        self._exempt()
        for key, items in self._block.limits.items():
            seen: dict[object, Where] = {}
            for position, item in enumerate(items):
                where = (*self._where, "limits", key, position)
                first = seen.setdefault(counts_as(item), where)
                if first != where:
                    text = f"counts the same as {self._context.path(first)}"
                    self._complain(where, text)
                elif item.per in OTHERS:
                    self._complain(
                        where, f"counts others too (per: {item.per}), so one application cannot have its own"
                    )
                else:
                    self._put(key, item, where)
        for plan in self._plans:
            mine = self._found[plan.name]
            for meter in meters(plan.name, plan.pricing, plan.down, mine.values()):
                mine.setdefault(_key(meter), meter)
        return {
            plan.name: tuple(self._found[plan.name].values())
            for plan in self._plans
            if tuple(self._found[plan.name].values()) != plan.limits
        }

    def _exempt(self) -> None:
        for position, text in enumerate(self._block.exempt or ()):
            where = (*self._where, "exempt", position)
            gone = [(limits, key) for limits in self._found.values() for key in limits if _named(limits[key]) == text]
            for limits, key in gone:
                del limits[key]
            if not gone:
                known = dict.fromkeys(_named(limit) for plan in self._plans for limit in plan.limits)
                names = tuple(name for name in known if name)
                self._complain(where, f"is no limit of its plans{instead(text, names) or choices(names)}", text)

    def _put(self, key: str, item: Limit, where: Where) -> None:
        service, _, metric = key.rpartition(".")
        probe: Key = (service or None, metric, *counts_as(item))
        plans = [plan for plan in self._plans if probe in self._found[plan.name]]
        for plan in plans or self._meant(service, metric, where):
            limit = self._limit(plan, service, metric, item, self._found[plan.name].get(probe))
            if limit.upstream is not None and item.over is not None:
                for name in (name for name in ([service] if service else plan.services) if name in self._services):
                    at = (*where, "over", "degrade")
                    check_upstream(limit.upstream, name, self._services[name], at, self._context)
            check_suspends(limit, where, self._context)
            self._found[plan.name][probe] = limit

    def _meant(self, service: str, metric: str, where: Where) -> Iterator[model.Plan]:
        """The plan that a limit is added to, as none has one that counts the same."""
        open_ = [plan for plan in self._plans if not service or service in plan.services]
        having = [plan for plan in open_ if self._has(metric, [service] if service else plan.services)]
        if not open_:
            self._complain(where[:-1], "is not a service that its plans open", service, on_key=True)
        elif not having:
            self._complain(where[:-1], "is not a metric of what its plans open", metric, on_key=True)
        elif len(having) > 1:
            names = " ".join(plan.name for plan in having)
            self._complain(
                where, f"could be of several of its plans ({names}); write it for a service, as SERVICE.METRIC"
            )
        else:
            yield having[0]

    def _has(self, metric: str, services: Iterable[str]) -> bool:
        return metric in (self._context.metrics(*services) or ())

    def _limit(
        self, plan: model.Plan, service: str, metric: str, item: Limit, before: model.Limit | None
    ) -> model.Limit:
        """What it does not say of its behaviour is that of the one that it stands for."""
        if before is not None and item.over is None and not item.shadow and item.amount[0]:
            update = {"shadow": True} if before.shadow else {"over": Behaviour.of(before)}
            item = item.model_copy(update=update if before.value else {})
        limit = limit_of(plan.name, service, metric, item, self._wholes[plan.name].block)
        down = Down() if limit.down.mode is DownMode.LOCAL else limit.down  # shares are those of the plan's limit
        return replace(limit, down=down)

    def _complain(self, where: Where, text: str, shown: str | None = None, *, on_key: bool = False) -> None:
        self._context.complain(where, Complaint(text, shown, on_key=on_key))


def _key(limit: model.Limit) -> Key | tuple[str, str | None, str, Kind, Period, str, Per]:
    """Of a service's own limits one that no application's is."""
    key: Key = (limit.service, limit.metric, limit.kind, limit.period, limit.zone, limit.per)
    return (NO_PLAN, *key) if limit.plan == NO_PLAN else key


def _named(limit: model.Limit) -> str:
    """As `gateway usage` names it; "" of a service's own."""
    if limit.plan == NO_PLAN:
        return ""
    return f"{limit.service}.{limit.metric}/{limit.span}" if limit.service else f"{limit.metric}/{limit.span}"
