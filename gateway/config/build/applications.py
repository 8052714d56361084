"""Applications: their plans and credentials, which no two may share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    _refuse_shared(blocks, "app_id", context)
    _refuse_repeated(blocks, context)
    return {name: _application(name, block, plans, context) for name, block in blocks.items()}


def _application(name: str, block: Application, plans: Mapping[str, Plan], context: Context) -> model.Application:
    where: Where = ("applications", name)
    valid = block.valid
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
        app_id=block.app_id,
        app_keys=tuple(key.built for key in block.app_keys or ()),
        each=block.each,
        state=block.state,
        begins=_moment(None if valid is None else valid.from_),
        ends=_moment(None if valid is None else valid.until),
        trial_ends=None if block.since is None else _moment(block.since + (block.trial or 0.0)),
    )


def _moment(seconds: float | None) -> model.Moment | None:
    return None if seconds is None else model.Moment(seconds)


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
        for position, credential in enumerate(_some(getattr(block, field)))
    ]
    owner = {credential: name for credential, name, _ in reversed(given)}
    for index in repeated(credential for credential, _, _ in given):
        credential, name, position = given[index]
        text = f"is given to the application '{owner[credential]}' already; a credential names one application, once"
        shown = None if field == "api_keys" else credential
        context.complain(("applications", name, field, position), Complaint(text, shown))


def _some(value: Any) -> list[Any]:
    """Of a field that may be left out, or be one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _refuse_repeated(blocks: Mapping[str, Application], context: Context) -> None:
    """Keys beside an id may be another application's too, but are named once."""
    for name, block in blocks.items():
        for position in repeated(key.key for key in block.app_keys or ()):
            context.complain(("applications", name, "app_keys", position), Complaint("is given twice"))
