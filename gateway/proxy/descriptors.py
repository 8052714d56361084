"""Open files: as many as the system permits this process, and no more connections than find room in them."""

from __future__ import annotations

import logging
import resource
from dataclasses import replace

from gateway.model import ClientLimits

log = logging.getLogger("gateway.worker")

RESERVE = 256  # for stores, providers, logs, listeners, and those who are turned away


def fitting(limits: ClientLimits) -> ClientLimits:
    """Raises the process's limit as far as it may; then lowers `connections`, each of which may need one upstream."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * limits.connections + RESERVE
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    most = max(1, (soft - RESERVE) // 2)
    if most >= limits.connections:
        return limits
    log.warning("%d open files permit %d connections of clients, not %d", soft, most, limits.connections)
    return replace(limits, connections=most, client_connections=min(limits.client_connections, max(1, most // 2)))
