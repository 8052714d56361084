"""Whether an application is served now: its state and time, and its account's state."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.errors import Forbidden, Unavailable
from gateway.gate.protocols import Suspensions
from gateway.model import Account, AccountState, Application, Limit, Over, State


def require_standing(application: Application, account: Account | None, now: float) -> float | None:
    """Raises Forbidden for one that is not served at `now` (Unix seconds). Until when it is; None: for good."""
    if account is not None and account.state is not AccountState.LIVE:
        raise _refused(application, f"the account is {account.state}", f"account_{account.state}")
    if application.state is not State.LIVE:
        raise _refused(application, f"the application is {application.state}", f"application_{application.state}")
    if application.begins is not None and now < application.begins:
        text = f"the application is valid from {application.begins} on"
        raise _refused(application, text, "application_not_yet")
    ends, trial = application.ends, application.trial_ends
    if ends is not None and now >= ends:
        raise _refused(application, f"the application was valid until {ends}", "application_expired")
    if trial is not None and now >= trial:
        raise _refused(application, f"the application's trial ended at {trial}", "trial_ended")
    return min((end for end in (ends, trial) if end is not None), default=None)


def require_resumed(
    suspensions: Suspensions, application: Application, scopes: Iterable[str], limits: Iterable[Limit]
) -> None:
    """Raises Forbidden where one of the `scopes` that a request counts in is suspended, by hand or by a limit that it
    went over, and Unavailable where nobody knows yet.
    """
    if not suspensions.known and any(limit.over is Over.SUSPEND for limit in limits):
        raise Unavailable("it is not known yet who is suspended", code="ledger_down")
    if any(suspensions.find(scope) for scope in scopes):
        raise over_and_out(application)


def over_and_out(application: Application) -> Forbidden:
    """The answer to the request that goes over a limit that suspends, and to all of who is suspended."""
    return _refused(application, "the application is suspended", "application_suspended")


def _refused(application: Application, text: str, code: str) -> Forbidden:
    return Forbidden(text, code=code, application=application.name)
