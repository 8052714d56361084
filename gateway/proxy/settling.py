"""What the ledger gets back of a request when it has ended."""

from __future__ import annotations

from gateway.proxy.exchange import Exchange


def settle(exchange: Exchange) -> None:
    """The request has ended, however that was."""
    admission = exchange.admission
    if admission is not None and admission.outcome is not None and admission.outcome.hold is not None:
        admission.outcome.hold.release()
