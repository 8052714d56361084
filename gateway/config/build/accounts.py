"""Accounts, and the plans that hold for all their applications."""

from __future__ import annotations

from collections.abc import Mapping

from gateway import model
from gateway.config.blocks.plans import Account, Plan
from gateway.config.build.context import Context, Where
from gateway.config.problems import Complaint


def accounts(blocks: Mapping[str, Account], plans: Mapping[str, Plan], context: Context) -> dict[str, model.Account]:
    return {name: _account(name, block, plans, context) for name, block in blocks.items()}


def _account(name: str, block: Account, plans: Mapping[str, Plan], context: Context) -> model.Account:
    where: Where = ("accounts", name, "plans")
    names = block.plans or []
    context.refer_each("plan", names, where)
    refuse_overlap(names, plans, where, context)
    known = tuple(name for name in names if name in plans)
    return model.Account(name=name, email=block.contact.email, state=block.state, plans=known)


def refuse_overlap(names: list[str], plans: Mapping[str, Plan], where: Where, context: Context) -> None:
    """The service picks the plan, so no two plans may have a service in common."""
    plan_of: dict[str, str] = {}
    for position, name in enumerate(names):
        for service in (plans[name].services or ()) if name in plans else ():
            first = plan_of.setdefault(service, name)
            if first != name and context.defines("service", service):
                text = f"has the service '{service}', as the plan '{first}' beside it has; the service picks the plan"
                context.complain((*where, position), Complaint(text, shown=name))
