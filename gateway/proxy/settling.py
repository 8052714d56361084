"""What the ledger hears of a request when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.gate import Admission

if TYPE_CHECKING:
    from gateway.proxy.exchange import Exchange


def settle(exchange: Exchange) -> None:
    """The request has ended, however that was."""
    turn, admission = exchange.turn, exchange.admission
    if turn is not None:
        turn.leave()
    if admission is not None and admission.outcome is not None and admission.outcome.hold is not None:
        settle_admission(exchange, admission)


def settle_admission(exchange: Exchange, admission: Admission) -> None:
    """Also of one that came too late to be the exchange's."""
    if admission.outcome is not None and admission.outcome.hold is not None:
        admission.outcome.hold.settle(admission.route.charged(exchange.status))
