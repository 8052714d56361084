"""How gateways count in a store: those of one protocol share it, whatever their versions; others are refused."""

from __future__ import annotations

from gateway.model import Store
from gateway.store import StoreError, keys
from gateway.store.pipe import Link

PROTOCOL = "1"  # another one where gateways before and after a change must not count side by side


async def require_protocol(link: Link, store: Store, tag: str, patience: float) -> None:
    """On an open link. Raises StoreError where counters are kept in another protocol, and what the exchange raises.

    A server that forbids to ask is for others to tell of; scripts that count ask again.
    """
    (answer,) = await link.exchange([("GET", keys.protocol(store.prefix, tag))], patience)
    kept = answer.decode(errors="replace") if isinstance(answer, bytes) else PROTOCOL
    if kept != PROTOCOL:
        raise StoreError(
            f"the store's counters under {store.prefix}: are kept in protocol {kept}, by another version of the "
            f"gateway; this one counts in protocol {PROTOCOL}: run that version, or give this one another store.prefix "
            "and carry the usage over by `gateway usage export` and `import`"
        )
