"""Applications: their plans and credentials, which no two may share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway import model
from gateway.config.blocks import File
from gateway.config.blocks.conditions import required
from gateway.config.blocks.keys import ApplicationKey
from gateway.config.blocks.plans import Application, Plan
from gateway.config.build.accounts import refuse_overlap
from gateway.config.build.context import Context, Where
from gateway.config.build.extends import Whole
from gateway.config.build.own_limits import OwnLimits
from gateway.config.problems import Complaint, repeated


def applications(
    file: File, wholes: Mapping[str, Whole], plans: Mapping[str, model.Plan], context: Context
) -> dict[str, model.Application]:
    """`plans` as the model has them, `wholes` as they are written."""
    blocks = file.applications
    _refuse_shared(blocks, "client_ids", context)
    _refuse_shared(blocks, "api_keys", context)
    _refuse_shared(blocks, "app_id", context)
    _refuse_repeated(blocks, context)
    _check_certificates(blocks, context)
    return {name: _application(name, block, file, wholes, plans, context) for name, block in blocks.items()}


def _application(
    name: str,
    block: Application,
    file: File,
    wholes: Mapping[str, Whole],
    plans: Mapping[str, model.Plan],
    context: Context,
) -> model.Application:
    where: Where = ("applications", name)
    valid, names = block.valid, block.plans or []
    _check_plans(block, file, {name: whole.block for name, whole in wholes.items()}, where, context)
    if block.each is model.Each.ADDRESS:
        _refuse_suspended_addresses(names, plans, (*where, "each"), context)
    theirs = [plans[plan] for plan in names if plan in plans]
    own = OwnLimits(name, file, theirs, wholes, context).built() if block.limits or block.exempt else {}
    return model.Application(
        name=name,
        plans=tuple(names),
        limits=own,
        account=block.account,
        client_ids=tuple(block.client_ids or ()),
        api_keys=tuple(key.built for key in block.api_keys or ()),
        match=required(block.match),
        certificates={issuer: tuple(names) for issuer, names in block.certificates.items()},
        app_id=block.app_id,
        app_keys=tuple(key.built for key in block.app_keys or ()),
        each=block.each,
        state=block.state,
        begins=_moment(None if valid is None else valid.from_),
        ends=_moment(None if valid is None else valid.until),
        trial_ends=None if block.since is None else _moment(block.since + (block.trial or 0.0)),
    )


def _check_plans(block: Application, file: File, plans: Mapping[str, Plan], where: Where, context: Context) -> None:
    if block.account is not None:
        context.refer("account", block.account, (*where, "account"))
    names = block.plans or []
    context.refer_each("plan", names, (*where, "plans"))
    refuse_overlap(names, plans, (*where, "plans"), context)
    account = None if block.account is None else file.accounts.get(block.account)
    cut = block.account is not None and context.faulty("accounts", block.account)
    if not names and (account is None or not account.plans) and not cut and not context.faulty(*map(str, where)):
        context.complain(where, Complaint("has no plans, and no account that has some (plans account)"))
    if block.account is None:
        _require_account(names, plans, (*where, "plans"), context)


def _refuse_suspended_addresses(
    names: list[str], plans: Mapping[str, model.Plan], where: Where, context: Context
) -> None:
    limits = [limit for name in names if name in plans for limit in plans[name].limits]
    for limit in limits:
        if limit.over is model.Over.SUSPEND and limit.per is model.Per.APPLICATION:
            text = (
                f"counts each address, and the plan '{limit.plan}' would suspend them (over: suspend); count otherwise"
            )
            context.complain(where, Complaint(text, shown=model.Each.ADDRESS.value))
            return


def _moment(seconds: float | None) -> model.Moment | None:
    return None if seconds is None else model.Moment(seconds)


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


def _check_certificates(blocks: Mapping[str, Application], context: Context) -> None:
    """Their issuers are defined, and no name stands for two applications."""
    owners: dict[tuple[str, str], str] = {}
    for name, block in blocks.items():
        for issuer, names in block.certificates.items():
            where: Where = ("applications", name, "certificates", issuer)
            context.refer_kind("certificate", issuer, where, on_key=True)
            for position, text in enumerate(names):
                owner = owners.setdefault((issuer, text), name)
                if owner != name or text in names[:position]:
                    said = f"is given to the application '{owner}' already; a credential names one application, once"
                    context.complain((*where, position), Complaint(said, shown=text))
