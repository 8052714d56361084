"""RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10) of the limit that decided."""

from __future__ import annotations

import math

from gateway.model import Limit, Outcome, Period

SECONDS = {  # `w`, the window's length; the longest that it gets where months and years differ
    Period.SECOND: 1,
    Period.MINUTE: 60,
    Period.HOUR: 3600,
    Period.DAY: 86400,
    Period.WEEK: 7 * 86400,
    Period.MONTH: 31 * 86400,
    Period.YEAR: 366 * 86400,
}


def limit_fields(outcome: Outcome, now: float) -> bytes:
    """Both fields as lines; nothing where no limit applies. `r` is a hint; without `t` the window never ends."""
    limit = outcome.limit
    if limit is None:
        return b""
    known = _policies.get(id(limit))
    policy = known[1] if known is not None else _remember(limit)
    if outcome.resets_at is None:
        return b"%b;r=%d\r\n" % (policy, max(0, outcome.remaining))
    reset = max(0, math.ceil(outcome.resets_at - now))
    return b"%b;r=%d;t=%d\r\n" % (policy, max(0, outcome.remaining), reset)


def policy_name(limit: Limit) -> str:
    """What both fields call a limit, as `hits-minute` or `orders.hits-month`."""
    metric = f"{limit.service}.{limit.metric}" if limit.service else limit.metric
    return f"{metric}-{limit.period}"


_policies: dict[int, tuple[Limit, bytes]] = {}  # by id, which the limit beside it keeps from being reused


def _remember(limit: Limit) -> bytes:
    name = policy_name(limit).encode()
    window = b";w=%d" % SECONDS[limit.period] if limit.period in SECONDS else b""
    lines = b'ratelimit-policy: "%b";q=%d%b\r\nratelimit: "%b"' % (name, limit.value, window, name)
    if len(_policies) > 10_000:  # reloads leave old ones behind
        _policies.clear()
    _policies[id(limit)] = (limit, lines)
    return lines
