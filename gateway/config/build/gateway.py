"""The process and its providers."""

from __future__ import annotations

import os
from pathlib import Path

from gateway import model
from gateway.config.blocks.gateway import ClientCredentials, Dpop, Gateway, Introspection, Limits, Oidc
from gateway.config.blocks.sign_on import SignIn
from gateway.config.build.context import Context, Where
from gateway.config.problems import Complaint

MOST_WORKERS = 64


def workers(block: Gateway, context: Context) -> int:
    """The `memory` store counts in one process."""
    alone = block.store is not None and block.store.url == "memory"
    if block.workers is None:
        return 1 if alone else min(cores(), MOST_WORKERS)
    if alone and block.workers > 1:
        text = "is more than the memory store permits, which counts in one process (1); use embedded or a store's URL"
        context.complain(("gateway", "workers"), Complaint(text, shown=str(block.workers)))
    return block.workers


def cores() -> int:
    """Those that this process may use: by its affinity, and by its container's quota (cgroup v2, `cpu.max`)."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(allowed, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or `max`
        return allowed


def data(block: Gateway, context: Context) -> Path:
    if block.data is None:
        return model.Config().data.absolute()
    return context.file(block.data, ("gateway", "data"))


def limits(block: Limits) -> model.ClientLimits:
    """One address may have half of all connections, so that none shuts out the others."""
    return model.ClientLimits(
        target=block.target,
        head=block.head,
        fields=block.fields,
        min_rate=block.min_rate,
        connections=block.connections,
        client_connections=block.client_connections or max(1, block.connections // 2),
        requests=block.requests,
        invalid_credentials=block.invalid_credentials,
        memory=block.memory,
        waiting=block.waiting,
    )


def provider(name: str, block: Oidc, context: Context) -> model.Oidc:
    where: Where = ("identity", name, "oidc", "ca")
    return model.Oidc(
        name=name,
        issuer=block.issuer,
        audience=tuple(block.audience),
        algorithms=tuple(block.algorithms or ()),
        internal_url=block.internal_url,
        ca=context.checked_file(block.ca, where, context.certificates.check_authority),
        introspection=_introspection(block.introspection),
        dpop=_dpop(block.dpop),
        exchange=credentials(block.exchange),
        clients=credentials(block.clients),
        sign_in=_sign_in(block.sign_in),
    )


def credentials(block: ClientCredentials | None) -> model.ClientCredentials | None:
    if block is None:
        return None
    return model.ClientCredentials(client_id=block.client_id, client_secret=block.client_secret)


def _sign_in(block: SignIn | None) -> model.SignIn | None:
    return None if block is None else model.SignIn(**{**block.model_dump(), "scopes": tuple(block.scopes)})


def _introspection(block: Introspection | None) -> model.Introspection | None:
    if block is None:
        return None
    return model.Introspection(**{**block.model_dump(), "tokens": tuple(block.tokens)})


def _dpop(block: Dpop) -> model.Dpop:
    algorithms = tuple(block.algorithms or model.ASYMMETRIC)
    return model.Dpop(use=block.use, algorithms=algorithms, max_age=block.max_age, nonce=block.nonce)
