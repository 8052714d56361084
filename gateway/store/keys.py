"""Names in the store. What shares a hash tag, `{scope}`, is in one slot of a cluster.

PREFIX:{SCOPE}:PLAN:SERVICE:METRIC:PERIOD:ZONE:START    a counter; START in Unix seconds
PREFIX:{SCOPE}:PLAN:SERVICE:METRIC:concurrent           what is under way of it at once, by process
PREFIX:{SCOPE}:PLAN:SERVICE:METRIC:rate-PERIOD          the bucket of a rate
PREFIX:{SCOPE}:~PROCESS                                 the last call of one process

A server's own, one of each; in a cluster with the server's tag, as in PREFIX:{TAG}:outbox:

PREFIX:outbox                                           the stream of alerts
PREFIX:epoch                                            which life of the store this is
PREFIX:processes                                        who counts there
PREFIX:protocol                                         how; see protocol.py

PREFIX:outboxes                                         the tags of all streams that a cluster has had
PREFIX:{~alerts}:PAGE                                   a page of the book of alerts, a hash
PREFIX:{~marks}:PART                                    the marks: see marks.lua
PREFIX:{~keys}:used                                     when API keys were last used, a sorted set by their digests

PREFIX:~KIND:{NAME}                                     a record, such as a session; see records.py
PREFIX:~KIND:of:{OWNER}                                 the names of an owner's records of a kind, a sorted set
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote, unquote

from gateway.model import Limit

LONGEST_TAG = 200  # bytes; a longer scope, such as a subject of kilobytes, is named by its digest
BOOK = "~alerts"  # the hash tag of the book of alerts; no scope's, as none begins so but with a digest
MARKS = "~marks"  # and that of the marks
KEYS = "~keys"  # and that of what is known of API keys
TAG = re.compile(r"~[0-9a-f]{64}|(?:[A-Za-z0-9_.\-/@+]|%[0-9A-F]{2})+")  # what `tag` makes


class Counted(NamedTuple):
    """What a counter's key says: its scope's hash tag as it is in keys, and the rule in plain words.

    `service` is "" for a limit over all services; `start` in Unix seconds.
    """

    tag: str
    plan: str
    service: str
    metric: str
    period: str
    zone: str
    start: int

    def key(self, prefix: str) -> str:
        """The counter's key."""
        return ":".join((_part(prefix), f"{{{self.tag}}}", *map(_part, self[1:6]), str(self.start)))

    @classmethod
    def parse(cls, key: str) -> Counted | None:
        """None for a key that is no counter's."""
        tag, _, rest = key.partition(":{")[2].partition("}:")
        parts = rest.split(":")
        if not TAG.fullmatch(tag) or len(parts) != 6 or not re.fullmatch(r"[0-9]{1,16}", parts[5]):
            return None
        plan, service, metric, period, zone = (unquote(part, errors="surrogatepass") for part in parts[:5])
        return cls(tag, plan, service, metric, period, zone, int(parts[5])) if plan and metric else None


def pattern(prefix: str, tags: str = "*") -> str:
    """What SCAN finds the counters of a prefix by; `tags` may be a pattern too."""
    return f"{_part(prefix)}:{{{tags}}}:*:*:*:*:*:*"


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


def pool(prefix: str, scope: str, limit: Limit) -> str:
    """The key of what is held of a limit that has no windows."""
    rule = (limit.plan, limit.service or "", limit.metric, limit.span)
    return ":".join((_part(prefix), f"{{{tag(scope)}}}", *map(_part, rule)))


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


def protocol(prefix: str, tag: str = "") -> str:
    """How all count on a server."""
    return _own(prefix, tag, "protocol")


def probe(prefix: str, tag: str = "") -> str:
    """A key that never is there: what may be done with it shows what a user may do."""
    return _own(prefix, tag, "~probe")


def outboxes(prefix: str) -> str:
    """The set of the tags for which there are streams in a cluster."""
    return f"{_part(prefix)}:outboxes"


def book(prefix: str, page: str) -> str:
    """A page of the book of alerts."""
    return _own(prefix, BOOK, page)


def marks(prefix: str, part: str) -> str:
    """A part of the marks."""
    return _own(prefix, MARKS, part)


def key_uses(prefix: str) -> str:
    """When API keys were last used."""
    return _own(prefix, KEYS, "used")


def record(prefix: str, kind: str, name: str) -> str:
    """A record's key."""
    return f"{_part(prefix)}:~{_part(kind)}:{{{tag(name)}}}"


def record_names(prefix: str, kind: str) -> str:
    """What SCAN finds the records of a kind by."""
    return f"{_part(prefix)}:~{_part(kind)}:{{*}}"


def name_in(key: str) -> str | None:
    """The name in a record's key; None for one that was too long to be in it."""
    safe = key.partition(":{")[2].removesuffix("}")
    return None if safe.startswith("~") else unquote(safe, errors="surrogatepass")


def owned(prefix: str, kind: str, owner: str) -> str:
    """The key of the names of an owner's records of a kind."""
    return f"{_part(prefix)}:~{_part(kind)}:of:{{{tag(owner)}}}"


def _own(prefix: str, tag: str, what: str) -> str:
    return f"{_part(prefix)}:{{{tag}}}:{what}" if tag else f"{_part(prefix)}:{what}"


@lru_cache(4096)
def _part(text: str) -> str:
    return quote(text, safe="/@+", errors="surrogatepass").replace("~", "%7E")
