"""What each plan does with requests that the store cannot be asked about, and the record of it in the log."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable

from gateway.model import DownMode, Limit, Outcome, Verdict
from gateway.quota.local.cell import Report
from gateway.quota.local.shares import Line, LocalShares

OPEN = Outcome(Verdict.GRANTED, fallback=DownMode.OPEN)
LOCAL = Outcome(Verdict.GRANTED, fallback=DownMode.LOCAL)
UNAVAILABLE = Outcome(Verdict.UNAVAILABLE)

log = logging.getLogger(__name__)


class Fallback:
    """`admitted` hears the mode of each request that is let in without the store.

    `shares` are set by who opens them; none until then.
    """

    def __init__(self, admitted: Callable[[DownMode], None] = lambda mode: None) -> None:
        self.shares: LocalShares | None = None
        self._admitted = admitted
        self._let_in: Counter[tuple[str, DownMode]] = Counter()

    def decide(self, limit: Limit, lines: Iterable[Line]) -> Outcome:
        """Granted or UNAVAILABLE, as the plan of `limit` says; `lines` are the costs to limits that refuse.

        What `open` lets in is the caller's to count when the store is back.
        """
        match limit.down.mode:
            case DownMode.CLOSED:
                return UNAVAILABLE
            case DownMode.LOCAL:
                if self.shares is None or not self.shares.take(tuple(lines)):
                    return UNAVAILABLE
                outcome = LOCAL
            case DownMode.OPEN:
                outcome = OPEN
        self._note(limit.plan, limit.down.mode)
        return outcome

    def give_back(self, key: str, units: int) -> None:
        """See LocalShares."""
        if self.shares is not None:
            self.shares.give_back(key, units)

    def over(self) -> None:
        """The store counts again. Says how many requests each plan let in meanwhile; nothing where none did."""
        for (plan, mode), requests in self._let_in.items():
            fields = {"plan": plan, "mode": str(mode), "requests": requests}
            log.warning("the store counts again; requests were let in without it", extra=fields)
        self._let_in.clear()

    def reports(self) -> Iterable[Report]:
        """See LocalShares."""
        return () if self.shares is None else self.shares.reports()

    def close(self) -> None:
        """Leave the shares to another process."""
        if self.shares is not None:
            self.shares.close()

    def _note(self, plan: str, mode: DownMode) -> None:
        if not self._let_in[plan, mode]:
            fields = {"plan": plan, "mode": str(mode)}
            log.warning("the store is away: requests are let in without it", extra=fields)
        self._let_in[plan, mode] += 1
        self._admitted(mode)
