"""Where counters live."""

from __future__ import annotations

from gateway import model
from gateway.config.blocks.store import Store
from gateway.config.build.context import Context, Where
from gateway.config.problems import Complaint, repeated

WHERE: Where = ("gateway", "store")


def store(block: Store | None, context: Context) -> model.Store:
    if block is None:
        return model.Store()
    files = context.certificates
    cert = context.checked_file(block.cert, (*WHERE, "cert"), files.check_certificate)
    return model.Store(
        kind=block.kind,
        url=block.url if block.kind == "url" else None,
        nodes=_servers(block, context),
        service=block.service,
        database=block.database or 0,
        tls=block.tls,
        ca=context.checked_file(block.ca, (*WHERE, "ca"), files.check_authority),
        cert=cert,
        key=context.checked_file(block.key, (*WHERE, "key"), lambda path: cert and files.check_key(cert, path)),
        username=block.username,
        password=block.password,
        sentinel_username=block.sentinel_username,
        sentinel_password=block.sentinel_password,
        prefix=block.prefix,
        timeout=block.timeout,
        wait=block.wait,
        fence=block.fence,
    )


def _servers(block: Store, context: Context) -> tuple[model.Address, ...]:
    """The Sentinels, or servers of the cluster."""
    named = block.sentinel or block.cluster or []
    for position in repeated(named):
        complaint = Complaint("is named twice", shown=str(named[position]))
        context.complain((*WHERE, block.kind, position), complaint)
    return tuple(named)
