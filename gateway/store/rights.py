"""What a user of the store's ACL must be allowed to do: tried out, without leaving anything."""

from __future__ import annotations

from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from gateway.model import Store
from gateway.store import StoreError, keys
from gateway.store.pipe import Command, Link

RULE = (
    "~{prefix}:* +@read +@write -@dangerous +eval +evalsha +script|load +multi +exec +select +time +wait +info"
    " +config|get +cluster|slots +cluster|info +cluster|nodes"
)
SENTINEL_RULE = "+sentinel|master"

NO_WRITES = ("OOM", "MISCONF", "NOREPLICAS", "READONLY")


async def require_rights(link: Link, store: Store, tag: str, patience: float) -> str | None:
    """On an open link. Raises StoreError naming what is forbidden; tells why the store takes no writes now, if so."""
    key = keys.probe(store.prefix, tag)
    probes = [*_probes(key), *([("WAIT", 0, 1)] if store.replicas else [])]
    answers = await link.exchange(probes, patience)
    denied = [_name(probe) for probe, answer in zip(probes, answers, strict=True) if _is_denied(answer)]
    if denied:
        user, rule = store.username or "default", RULE.format(prefix=store.prefix)
        raise StoreError(
            f"the store does not let its user {user} do this on {store.prefix}:*: {', '.join(denied)}; "
            f"the rule to give is: ACL SETUSER {user} {rule}"
        )
    return next((str(answer) for answer in answers if _is_refusal(answer)), None)


def _probes(key: str) -> list[Command]:
    """One for each right; none of them finds anything to change."""
    return [
        ("GET", key),
        ("SET", key, "", "XX", "EX", 1),
        ("DEL", key),
        ("GETDEL", key),
        ("ZADD", key, "XX", 0, "nobody"),
        ("HGET", key, "nothing"),
        ("HDEL", key, "nothing"),
        ("SREM", key, "nothing"),
        ("XADD", key, "NOMKSTREAM", "*", "nothing", ""),
        ("XREADGROUP", "GROUP", "nobody", "nobody", "STREAMS", key, "0"),
        ("EVAL", "return 1", 1, key),
        ("EVALSHA", "0" * 40, 1, key),
        ("SCRIPT", "LOAD", "return 1"),
        ("MULTI",),
        ("EXEC",),
        ("TIME",),
    ]


def _name(probe: Command) -> str:
    return " ".join(map(str, probe[:2])) if probe[0] == "SCRIPT" else str(probe[0])


def _is_denied(answer: Any) -> bool:
    return isinstance(answer, NoPermissionError)


def _is_refusal(answer: Any) -> bool:
    return isinstance(answer, ResponseError) and (answer.status_code or str(answer)).startswith(NO_WRITES)
