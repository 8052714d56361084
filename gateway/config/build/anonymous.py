"""Applications of those who come without credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.config.blocks import File
from gateway.config.blocks.plans import Application, Plan
from gateway.config.blocks.services import Service
from gateway.config.build.context import Context, Where
from gateway.config.problems import Complaint
from gateway.model import Each

KNOWN_BY = "client_ids api_keys app_id certificates match"


def check_found(file: File, plans: Mapping[str, Plan], context: Context) -> None:
    """Each application can be found, and those that services name for anonymous requests can serve them."""
    applications, anonymous = file.applications, set()
    for service, block in file.services.items():
        lines = list(_anonymous(service, block))
        for where, name in lines:
            anonymous.add(name)
            if context.refer("application", name, where) and name in applications:
                _check(name, applications[name], service, file, plans, where, context)
        for where, name in lines[1:]:
            context.complain(where, Complaint("is a second application for the same requests", shown=name))
    for name, application in applications.items():
        cut = context.faulty("services") or context.faulty("applications", name)  # what it is known by may be missing
        if not application.can_be_found and name not in anonymous and not cut:
            text = f"has nothing to be known by ({KNOWN_BY}), and no service accepts it as anonymous"
            context.complain(("applications", name), Complaint(text))


def _anonymous(service: str, block: Service) -> Iterator[tuple[Where, str]]:
    for position, line in enumerate(block.accept):
        if line.anonymous is not None:
            yield ("services", service, "accept", position, "anonymous"), line.anonymous


def _check(
    name: str, block: Application, service: str, file: File, plans: Mapping[str, Plan], where: Where, context: Context
) -> None:
    if block.each in (Each.CLIENT, Each.USER):
        text = f"counts each {block.each}, and anonymous requests name none; it needs each: address or shared"
        context.complain(where, Complaint(text, shown=name))
    account = file.accounts.get(block.account or "")
    names = [*(block.plans or ()), *(account.plans or () if account is not None else ())]
    if all(plan in plans for plan in names) and not any(service in (plans[plan].services or ()) for plan in names):
        context.complain(where, Complaint("has no plan that opens this service", shown=name))
