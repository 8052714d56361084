"""Where alerts go."""

from __future__ import annotations

from gateway import destinations as model
from gateway.config.blocks import channels as blocks
from gateway.config.build.context import Context, Where
from gateway.config.problems import Complaint

MAIL_BATCH = 30.0  # seconds
NOTIFY_BATCH = 10.0


def channel(name: str, block: blocks.Channel, context: Context) -> model.Channel:
    to, batch = _destination(block, ("alerts", "channels", name), context)
    return model.Channel(
        name=name, to=to, quiet=_quiet(block.quiet), batch=batch if block.batch is None else block.batch
    )


def _destination(
    block: blocks.Channel, where: Where, context: Context
) -> tuple[model.Webhook | model.Alertmanager | model.Email | model.Notify, float]:
    """Whom it leads to, and its usual batch."""
    if block.webhook is not None:
        return model.Webhook(url=block.webhook, secret=block.secret), 0.0
    if block.alertmanager is not None:
        return model.Alertmanager(url=block.alertmanager.rstrip("/"), token=block.token), 0.0
    if block.email is not None:
        return _email(block.email, (*where, "email"), context), MAIL_BATCH
    assert block.notify is not None, "one of the kinds is there"
    _check_notify(block.notify, (*where, "notify"), context)
    return model.Notify(url=block.notify), NOTIFY_BATCH


def _email(block: blocks.Email, where: Where, context: Context) -> model.Email:
    return model.Email(
        host=block.server.host,
        port=block.server.port,
        sender=block.sender,
        to=tuple(block.to or ()),
        tls=block.tls,
        ca=context.checked_file(block.ca, (*where, "ca"), context.certificates.check_authority),
        username=block.username,
        password=block.password,
    )


def _quiet(block: blocks.Quiet | None) -> model.Quiet | None:
    if block is None:
        return None
    start, end = block.hours
    return model.Quiet(start=start, end=end, zone=block.time_zone)


def _check_notify(url: str, where: Where, context: Context) -> None:
    try:
        from apprise import Apprise
    except ImportError:
        context.complain(where, Complaint("needs a library that is not installed: pip install 'plangate[notify]'"))
        return
    if Apprise.instantiate(url, suppress_exceptions=True) is None:
        text = "is not a URL that apprise knows; see https://github.com/caronc/apprise/wiki for the service's form"
        context.complain(where, Complaint(text))
