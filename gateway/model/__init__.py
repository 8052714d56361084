"""The nouns. Frozen values that `config` makes and every room reads; standard library only.

3scale's words for plans, OIDC's for claims, Envoy's for traffic.
"""

from gateway.model.clients import (
    Address,
    Certificate,
    ClientLimits,
    ClientTimeouts,
    Drain,
    Listener,
    Memory,
    Rate,
    ServerTls,
)
from gateway.model.conditions import ANY_VALUE, Require
from gateway.model.contracts import account_of, every_limit, limits_of, plans_of
from gateway.model.identities import ASYMMETRIC, ClientCertificates, Identity, Introspection, NamedBy, Oidc
from gateway.model.keys import ApiKey
from gateway.model.moments import Moment
from gateway.model.plans import (
    HITS,
    NO_PLAN,
    Account,
    AccountState,
    Application,
    Down,
    DownMode,
    Each,
    Limit,
    Over,
    Pattern,
    Per,
    Period,
    Plan,
    State,
)
from gateway.model.refusals import Refusal
from gateway.model.requests import Alert, Charge, Outcome, Route, Verdict
from gateway.model.services import (
    MAX_BODY,
    UNLIMITED,
    Accept,
    AppId,
    ClientTls,
    KeyPlace,
    Rule,
    Service,
    Target,
    Timeouts,
    Upstream,
)
from gateway.model.whole import Config, Store

__all__ = [
    "ANY_VALUE",
    "ASYMMETRIC",
    "HITS",
    "MAX_BODY",
    "NO_PLAN",
    "UNLIMITED",
    "Accept",
    "Account",
    "AccountState",
    "Address",
    "Alert",
    "ApiKey",
    "AppId",
    "Application",
    "Certificate",
    "Charge",
    "ClientCertificates",
    "ClientLimits",
    "ClientTimeouts",
    "ClientTls",
    "Config",
    "Down",
    "DownMode",
    "Drain",
    "Each",
    "Identity",
    "Introspection",
    "KeyPlace",
    "Limit",
    "Listener",
    "Memory",
    "Moment",
    "NamedBy",
    "Oidc",
    "Outcome",
    "Over",
    "Pattern",
    "Per",
    "Period",
    "Plan",
    "Rate",
    "Refusal",
    "Require",
    "Route",
    "Rule",
    "ServerTls",
    "Service",
    "State",
    "Store",
    "Target",
    "Timeouts",
    "Upstream",
    "Verdict",
    "account_of",
    "every_limit",
    "limits_of",
    "plans_of",
]
