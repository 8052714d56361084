"""Who may do what, and how much: identity → application → plan → ledger. No HTTP server here, and no I/O."""

from gateway.gate.admission import Admission, Subscription
from gateway.gate.admit import Gate
from gateway.gate.protocols import Ask, Claim, Ledger, Passport, Permits, Router
from gateway.gate.queue import Turn
from gateway.gate.turns import Turns

__all__ = [
    "Admission",
    "Ask",
    "Claim",
    "Gate",
    "Ledger",
    "Passport",
    "Permits",
    "Router",
    "Subscription",
    "Turn",
    "Turns",
]
