"""What the ledger hears of a request when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.gate import Admission

if TYPE_CHECKING:
    from gateway.proxy.exchange import Exchange
    from gateway.proxy.meter import Meter

UNMEASURED = "unmeasured"  # a reason


def settle(exchange: Exchange) -> None:
    """The request has ended, however that was."""
    turn, admission = exchange.turn, exchange.admission
    if turn is not None:
        turn.leave()
    if admission is None:
        return
    outward = exchange.outward
    if outward is not None and outward.meter is not None:
        _read(exchange, admission, outward.meter)
    if admission.outcome is not None and admission.outcome.hold is not None:
        settle_admission(exchange, admission)


def settle_admission(exchange: Exchange, admission: Admission) -> None:
    """Also of one that came too late to be the exchange's."""
    if admission.outcome is not None and admission.outcome.hold is not None:
        meter = None if exchange.outward is None else exchange.outward.meter
        charged = None if meter is None else meter.charged
        admission.outcome.hold.settle(admission.route.charged(exchange.status) if charged is None else charged)


def _read(exchange: Exchange, admission: Admission, meter: Meter) -> None:
    """Of the service's own answer; another, made in its place, says nothing of cost."""
    route = admission.route
    found, missing = meter.read(route.measures)
    if exchange.error is not None:
        found = {}
    meter.charged = charged = route.charged(exchange.status, found)
    if missing and charged and exchange.reason == "ok":
        exchange.reason = UNMEASURED
