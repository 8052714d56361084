"""Names in the store. What shares a hash tag, `{scope}`, is in one slot of a cluster.

PREFIX:{SCOPE}:PLAN:SERVICE:METRIC:PERIOD:ZONE:START    a counter; START in Unix seconds
PREFIX:{SCOPE}:~PROCESS                                 the last call of one process

A server's own, one of each; in a cluster with the server's tag, as in PREFIX:{TAG}:outbox:

PREFIX:outbox                                           the stream of alerts
PREFIX:epoch                                            which life of the store this is
PREFIX:processes                                        who counts there

PREFIX:outboxes                                         the tags of all streams that a cluster has had
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote

from gateway.model import Limit

LONGEST_TAG = 200  # bytes; a longer scope, such as a subject of kilobytes, is named by its digest


def tag(scope: str) -> str:
    """The hash tag of a scope, safe between `{}` and `:`. Raises ValueError for an empty one: it would tag nothing."""
    if not scope:
        raise ValueError("a scope needs a name")
    safe = _part(scope)
    return safe if len(safe) <= LONGEST_TAG else "~" + sha256(scope.encode("utf-8", "surrogatepass")).hexdigest()


def counters(prefix: str, scope: str, limit: Limit, zone: str) -> str:
    """What the keys of a rule's counters begin with: whose and which; never the rule's value, so that an edit keeps
    the usage. `zone` is the one that matters to the limit's period.
    """
    rule = (limit.plan, limit.service or "", limit.metric, limit.period, zone)
    return ":".join((_part(prefix), f"{{{tag(scope)}}}", *map(_part, rule)))


def counter(rule: str, start: float) -> str:
    """The key of one window's counter; `rule` is what `counters` gave."""
    return f"{rule}:{int(start)}"


def calls(prefix: str, scope: str, process: str) -> str:
    """The key of a process's last call about a scope."""
    return f"{_part(prefix)}:{{{tag(scope)}}}:~{process}"


def outbox(prefix: str, tag: str = "") -> str:
    """The stream of crossings: one entry each, its field `alert` the JSON of an Alert. `tag`: the server's."""
    return _own(prefix, tag, "outbox")


def epoch(prefix: str, tag: str = "") -> str:
    """The record of a server's epoch."""
    return _own(prefix, tag, "epoch")


def processes(prefix: str, tag: str = "") -> str:
    """Who counts on a server."""
    return _own(prefix, tag, "processes")


def outboxes(prefix: str) -> str:
    """The set of the tags for which there are streams in a cluster."""
    return f"{_part(prefix)}:outboxes"


def _own(prefix: str, tag: str, what: str) -> str:
    return f"{_part(prefix)}:{{{tag}}}:{what}" if tag else f"{_part(prefix)}:{what}"


@lru_cache(4096)
def _part(text: str) -> str:
    return quote(text, safe="/@+", errors="surrogatepass").replace("~", "%7E")
