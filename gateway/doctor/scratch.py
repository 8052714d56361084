"""The gateway's scripts, tried on keys of their own that are gone afterwards."""

from __future__ import annotations

from redis.exceptions import ResponseError

from gateway.quota.adjust import ADJUST
from gateway.quota.calls import CONSUME
from gateway.quota.forget import FORGET
from gateway.quota.memo import PUBLISH
from gateway.quota.pools.calls import POOLS
from gateway.quota.restore import RESTORE
from gateway.store import keys
from gateway.store.connection import PATIENCE
from gateway.store.fence import LOOK
from gateway.store.pipe import Command, Link
from gateway.store.protocol import PROTOCOL
from gateway.store.records import INDEX, ONCE, SWAP
from gateway.store.script import Script
from gateway.store.store_marks import READ, WRITE

FOREVER = (10, 0, "", "")  # value, start, end, drop
UNITS = (1, 0, 0, 0, 0)  # used, apart, beside, back, want
ALERT = ("10=1", '{"id": "doctor-')  # raised by the first unit


async def try_scripts(link: Link, run: str, prefix: str, tag: str) -> None:
    """On an open link to the server with the run id `run`. Raises ResponseError for what does not run."""
    scratch = keys.probe(prefix, tag)
    record, processes, protocol, last, counter, outbox = (
        f"{scratch}-{what}" for what in ("e", "p", "w", "l", "c", "o")
    )
    value, names, facts, order, ends, pool = (f"{scratch}-{what}" for what in ("v", "n", "f", "r", "d", "h"))
    try:
        look = await _run(LOOK, link, (3, record, processes, protocol, "doctor", run, 0, 0, 0, 1, 10, 0, PROTOCOL))
        here = f"{look.split(b';')[1].decode()} {run}"
        header = (1, 0, 10, record, here, outbox, 1, 0)
        await _run(CONSUME, link, (2, last, counter, *header, 1, *FOREVER, *UNITS, *ALERT, 0))
        await _run(FORGET, link, (1, last, 0, 1))
        await _run(PUBLISH, link, (1, counter, record, here, outbox, 1, 1, 0, 0, 0, "", "", "", ""))
        await _run(RESTORE, link, (1, counter, record, here, 0, 1, 1, 0, 0, "", ""))
        await _run(ADJUST, link, (1, counter, record, here, 1, 1, 0, "", ""))
        await _run(ONCE, link, (1, value, record, here, 10_000, 0))
        await _run(SWAP, link, (1, value, "", "", 10_000))
        await _run(INDEX, link, (1, names, "doctor", 10_000))
        await _run(WRITE, link, (3, facts, order, ends, 0, 1, "doctor", "", "", ""))
        await _run(READ, link, (2, facts, order, 0, 1, 0))
        await _run(POOLS, link, (1, pool, 1, 0, "doctor", record, here, 1, 1_000_000, 1, "", 0, 0, 1, 0))
    finally:
        used = (record, processes, protocol, last, counter, outbox, value, names, facts, order, ends, pool)
        await link.exchange([("DEL", *used)], PATIENCE)


async def _run(script: Script, link: Link, call: Command) -> bytes:
    (answer,) = await script.run(link, [call], PATIENCE)
    if isinstance(answer, ResponseError):
        raise answer
    return answer if isinstance(answer, bytes) else b""
