"""Plans that extend others: each as if it said all that it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gateway import model
from gateway.config.blocks.limits import Limit
from gateway.config.blocks.plans import Plan, PlanAlerts
from gateway.config.build.context import Context, Where
from gateway.config.problems import Complaint

Limits = dict[str, list[Limit]]

INHERITED = {"services", "pricing", "over", "ledger_down", "allow", "require"}  # as a whole


class Whole(NamedTuple):
    """A plan as it is `written`, and with all that it has: its own limits of a metric come first."""

    name: str
    written: Plan
    block: Plan

    @property
    def services(self) -> list[str]:
        return self.block.services or []

    def at(self, key: str, position: int) -> Where:
        """Where a limit is written, or what brings it here."""
        if position < len(self.written.limits.get(key, ())):
            return ("plans", self.name, "limits", key, position)
        return ("plans", self.name, "extends")


def whole_plans(blocks: Mapping[str, Plan], context: Context) -> dict[str, Whole]:
    """`context` hears of plans that extend what is none, or each other."""
    return {name: Whole(name, block, _whole(name, blocks, context)) for name, block in blocks.items()}


def counts_as(item: Limit) -> tuple[model.Kind, model.Period, str, model.Per]:
    """What two limits of a metric have in common when one stands for the other."""
    return item.kind, item.amount[1], item.time_zone, item.per


def _whole(name: str, blocks: Mapping[str, Plan], context: Context) -> Plan:
    where: Where = ("plans", name, "extends")
    block = blocks[name]
    parents = _parents(name, blocks)
    if block.extends is not None and context.refer("plan", block.extends, where) and name in parents:
        context.complain(where, Complaint("leads back to where it started", shown=block.extends))
    for parent in parents:
        block = _extended(block, blocks[parent])
    return block


def _parents(name: str, blocks: Mapping[str, Plan]) -> list[str]:
    """Its parent, that one's and so on, as far as they are defined and not repeated."""
    found: list[str] = []
    parent = blocks[name].extends
    while parent is not None and parent in blocks and parent not in found:
        found.append(parent)
        parent = blocks[parent].extends
    return found


def _extended(block: Plan, parent: Plan) -> Plan:
    """A plan, with what it does not say from its parent. What that says of services which it does not open is left."""
    inherited = INHERITED & parent.model_fields_set - block.model_fields_set
    update = {field: getattr(parent, field) for field in inherited}
    services = block.services or parent.services or []
    if "allow" in update:
        update["allow"] = {service: patterns for service, patterns in parent.allow.items() if service in services}
    update["limits"] = _merged(block.limits, dict(_of_services(parent.limits, services)))
    update["alerts"] = block.alerts.model_copy(update=_said(parent.alerts, block.alerts))
    return block.model_copy(update=update)


def _said(parent: PlanAlerts, block: PlanAlerts) -> dict[str, object]:
    return {field: getattr(parent, field) for field in parent.model_fields_set - block.model_fields_set}


def _of_services(limits: Limits, services: list[str]) -> Iterator[tuple[str, list[Limit]]]:
    for key, items in limits.items():
        service = key.rpartition(".")[0]
        if not service or service in services:
            yield key, items


def _merged(own: Limits, others: Limits) -> Limits:
    merged = {key: list(items) for key, items in own.items()}
    for key, items in others.items():
        mine = merged.setdefault(key, [])
        known = {counts_as(item) for item in mine}
        mine += (item for item in items if counts_as(item) not in known)
    return merged
