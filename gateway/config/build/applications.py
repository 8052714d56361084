"""Applications: their plans and credentials, which no two may share."""

from __future__ import annotations

from collections.abc import Mapping

from gateway import model
from gateway.config.blocks.conditions import required
from gateway.config.blocks.keys import ApplicationKey
from gateway.config.blocks.plans import Application, Plan
from gateway.config.build.context import Context, Where
from gateway.config.problems import Complaint, repeated


def applications(
    blocks: Mapping[str, Application], plans: Mapping[str, Plan], context: Context
) -> dict[str, model.Application]:
    _refuse_shared(blocks, "client_ids", context)
    _refuse_shared(blocks, "api_keys", context)
    return {name: _application(name, block, plans, context) for name, block in blocks.items()}


def _application(name: str, block: Application, plans: Mapping[str, Plan], context: Context) -> model.Application:
    where: Where = ("applications", name)
    if block.account is not None:
        context.refer("account", block.account, (*where, "account"))
    context.refer_each("plan", block.plans, (*where, "plans"))
    _refuse_overlap(block.plans, plans, (*where, "plans"), context)
    if block.account is None:
        _require_account(block.plans, plans, (*where, "plans"), context)
    return model.Application(
        name=name,
        plans=tuple(block.plans),
        account=block.account,
        client_ids=tuple(block.client_ids or ()),
        api_keys=tuple(key.built for key in block.api_keys or ()),
        match=required(block.match),
        each=block.each,
        state=block.state,
    )


def _refuse_overlap(names: list[str], plans: Mapping[str, Plan], where: Where, context: Context) -> None:
    """The service picks the plan, so no two plans may have a service in common."""
    plan_of: dict[str, str] = {}
    for position, name in enumerate(names):
        for service in (plans[name].services or ()) if name in plans else ():
            first = plan_of.setdefault(service, name)
            if first != name and context.defines("service", service):
                text = f"has the service '{service}', as the plan '{first}' beside it has; the service picks the plan"
                context.complain((*where, position), Complaint(text, shown=name))


def _require_account(names: list[str], plans: Mapping[str, Plan], where: Where, context: Context) -> None:
    """A limit per account needs one."""
    for position, name in enumerate(names):
        limits = [limit for some in plans[name].limits.values() for limit in some] if name in plans else []
        if any(limit.per is model.Per.ACCOUNT for limit in limits):
            text = "has a limit per account, and the application has none; give it an account"
            context.complain((*where, position), Complaint(text, shown=name))


def _refuse_shared(blocks: Mapping[str, Application], field: str, context: Context) -> None:
    given = [
        (credential.key if isinstance(credential, ApplicationKey) else credential, name, position)
        for name, block in blocks.items()
        for position, credential in enumerate(getattr(block, field) or ())
    ]
    owner = {credential: name for credential, name, _ in reversed(given)}
    for index in repeated(credential for credential, _, _ in given):
        credential, name, position = given[index]
        text = f"is given to the application '{owner[credential]}' already; a credential names one application, once"
        shown = credential if field == "client_ids" else None
        context.complain(("applications", name, field, position), Complaint(text, shown))
