"""The commands that scripts use, over a keyspace. Each takes and gives what Redis's does."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf
from typing import Any

from .keyspace import Keyspace, Scores, Stream
from .lua import OK, Failure

SYNTAX = "ERR syntax error"
WHOLE = re.compile(rb"0|-?[1-9][0-9]*")
NOT_INTEGER = "ERR value is not an integer or out of range"


# --- strings and keys --------------------------------------------------------------------------------


def _whole(text: bytes) -> int:
    if not WHOLE.fullmatch(text):
        raise Failure(NOT_INTEGER)
    return int(text)


def _get(data: Keyspace, key: bytes) -> Any:
    if data.find(key) is None:
        return None
    return data.typed(key, bytes)


EXPIRIES: dict[bytes, Callable[[int, int], int]] = {
    b"EX": lambda now, units: now + units * 1000,
    b"PX": lambda now, units: now + units,
    b"EXAT": lambda now, units: units * 1000,
    b"PXAT": lambda now, units: units,
}


def _set(data: Keyspace, key: bytes, value: bytes, *options: bytes) -> Any:
    when, words = inf, [option.upper() for option in options]
    if b"NX" in words and b"XX" in words:
        raise Failure(SYNTAX)
    while words:
        word = words.pop(0)
        if word in EXPIRIES and words:
            units = _whole(words.pop(0))
            if units <= 0:
                raise Failure("ERR invalid expire time in 'set' command")
            when = EXPIRIES[word](data.now, units)
        elif word == b"KEEPTTL":
            when = data.expiry(key)
        elif word not in {b"NX", b"XX"}:
            raise Failure(SYNTAX)
    present = data.find(key) is not None
    if (present and b"NX" in map(bytes.upper, options)) or (not present and b"XX" in map(bytes.upper, options)):
        return None
    data.store(key, value)
    data.expire_at(key, when)
    return OK


def _incrby(data: Keyspace, key: bytes, by: bytes = b"1") -> int:
    held = _get(data, key)
    total = _whole(b"0" if held is None else held) + _whole(by)
    data.store(key, b"%d" % total)
    return total


def _del(data: Keyspace, *keys: bytes) -> int:
    return sum(data.find(key) is not None and data.drop(key) for key in keys)


def _exists(data: Keyspace, *keys: bytes) -> int:
    return sum(data.find(key) is not None for key in keys)


def _expire(unit: int, from_now: bool) -> Callable[..., int]:
    def command(data: Keyspace, key: bytes, units: bytes) -> int:
        when = _whole(units) * unit + (data.now if from_now else 0)
        if data.find(key) is None:
            return 0
        data.expire_at(key, when)
        return 1

    return command


def _pttl(data: Keyspace, key: bytes) -> int:
    if data.find(key) is None:
        return -2
    when = data.expiry(key)
    return -1 if when == inf else int(when - data.now)


def _ttl(data: Keyspace, key: bytes) -> int:
    left = _pttl(data, key)
    return left if left < 0 else (left + 500) // 1000


def _persist(data: Keyspace, key: bytes) -> int:
    if data.find(key) is None or data.expiry(key) == inf:
        return 0
    data.expire_at(key, inf)
    return 1


# --- hashes, sets, sorted sets, streams ------------------------------------------------------------------


def _hset(data: Keyspace, key: bytes, *pairs: bytes) -> int:
    if not pairs or len(pairs) % 2:
        raise Failure("ERR wrong number of arguments for 'hset' command")
    table = data.typed(key, dict)
    before = len(table)
    table.update(zip(pairs[::2], pairs[1::2], strict=True))
    data.store(key, table)
    return len(table) - before


def _hincrby(data: Keyspace, key: bytes, field: bytes, by: bytes) -> int:
    table = data.typed(key, dict)
    total = _whole(table.get(field, b"0")) + _whole(by)
    table[field] = b"%d" % total
    data.store(key, table)
    return total


def _hdel(data: Keyspace, key: bytes, *fields: bytes) -> int:
    table = data.typed(key, dict)
    gone = sum(table.pop(field, None) is not None for field in fields)
    if gone:
        data.store(key, table)
    return gone


def _hgetall(data: Keyspace, key: bytes) -> list[bytes]:
    return [part for pair in data.typed(key, dict).items() for part in pair]


def _sadd(data: Keyspace, key: bytes, *members: bytes) -> int:
    held = data.typed(key, set)
    before = len(held)
    held.update(members)
    data.store(key, held)
    return len(held) - before


def _srem(data: Keyspace, key: bytes, *members: bytes) -> int:
    held = data.typed(key, set)
    gone = len(held & set(members))
    if gone:
        held.difference_update(members)
        data.store(key, held)
    return gone


def _score(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        raise Failure("ERR min or max is not a float") from None


def _zadd(data: Keyspace, key: bytes, *pairs: bytes) -> int:
    scores = data.typed(key, Scores)
    before = len(scores)
    for score, member in zip(pairs[::2], pairs[1::2], strict=True):
        scores[member] = _score(score)
    data.store(key, scores)
    return len(scores) - before


def _zrem(data: Keyspace, key: bytes, *members: bytes) -> int:
    scores = data.typed(key, Scores)
    gone = sum(scores.pop(member, None) is not None for member in members)
    if gone:
        data.store(key, scores)
    return gone


def _between(scores: Scores, low: bytes, high: bytes) -> list[bytes]:
    """Members from low to high, by score and then by name; a `(` leaves the border out."""

    def bound(text: bytes) -> tuple[float, bool]:
        return (_score(text[1:]), False) if text.startswith(b"(") else (_score(text), True)

    (least, with_least), (most, with_most) = bound(low), bound(high)
    found = [
        (score, member)
        for member, score in scores.items()
        if (least < score or (with_least and score == least)) and (score < most or (with_most and score == most))
    ]
    return [member for _, member in sorted(found)]


def _zscore(data: Keyspace, key: bytes, member: bytes) -> bytes | None:
    score = data.typed(key, Scores).get(member)
    return None if score is None else b"%.17g" % score


def _xadd(data: Keyspace, key: bytes, *arguments: bytes) -> bytes:
    stream, rest = data.typed(key, Stream), list(arguments)
    most, loosely = None, False
    if rest[0].upper() == b"MAXLEN":
        loosely = rest[1] == b"~"
        most = _whole(rest[1 + (rest[1] in {b"~", b"="})])
        del rest[: 2 + (rest[1] in {b"~", b"="})]
    if rest[0] != b"*":
        raise NotImplementedError("ids on paper are the server's: XADD … *")
    stream.last = (data.now, 0) if data.now > stream.last[0] else (stream.last[0], stream.last[1] + 1)
    identity = b"%d-%d" % stream.last
    stream.append((identity, rest[1:]))
    if most is not None and len(stream) > most + 100 * loosely:  # a server drops whole nodes of 100
        del stream[: len(stream) - most]
    data.store(key, stream)
    return identity


def _xrange(data: Keyspace, key: bytes, low: bytes, high: bytes) -> list[Any]:
    if (low, high) != (b"-", b"+"):
        raise NotImplementedError("on paper a stream is read as a whole")
    return [[identity, list(fields)] for identity, fields in data.typed(key, Stream)]


READS: dict[str, Callable[..., Any]] = {
    "GET": _get,
    "MGET": lambda data, *keys: [v if type(v := data.find(key)) is bytes else None for key in keys],
    "EXISTS": _exists,
    "TTL": _ttl,
    "PTTL": _pttl,
    "HGET": lambda data, key, field: data.typed(key, dict).get(field),
    "HMGET": lambda data, key, *fields: [data.typed(key, dict).get(field) for field in fields],
    "HGETALL": _hgetall,
    "HLEN": lambda data, key: len(data.typed(key, dict)),
    "HEXISTS": lambda data, key, field: int(field in data.typed(key, dict)),
    "SISMEMBER": lambda data, key, member: int(member in data.typed(key, set)),
    "SCARD": lambda data, key: len(data.typed(key, set)),
    "ZCARD": lambda data, key: len(data.typed(key, Scores)),
    "ZSCORE": _zscore,
    "ZCOUNT": lambda data, key, low, high: len(_between(data.typed(key, Scores), low, high)),
    "ZRANGEBYSCORE": lambda data, key, low, high: _between(data.typed(key, Scores), low, high),
    "XLEN": lambda data, key: len(data.typed(key, Stream)),
    "XRANGE": _xrange,
}
FREEING: dict[str, Callable[..., Any]] = {  # writes that a full store takes
    "DEL": _del,
    "UNLINK": _del,
    "EXPIRE": _expire(1000, True),
    "PEXPIRE": _expire(1, True),
    "EXPIREAT": _expire(1000, False),
    "PEXPIREAT": _expire(1, False),
    "PERSIST": _persist,
    "HDEL": _hdel,
    "SREM": _srem,
    "ZREM": _zrem,
    "ZREMRANGEBYSCORE": lambda data, key, low, high: _zrem(data, key, *_between(data.typed(key, Scores), low, high)),
}
GROWING: dict[str, Callable[..., Any]] = {
    "SET": _set,
    "INCR": _incrby,
    "INCRBY": _incrby,
    "HSET": _hset,
    "HINCRBY": _hincrby,
    "SADD": _sadd,
    "ZADD": _zadd,
    "XADD": _xadd,
}
COMMANDS = READS | FREEING | GROWING
