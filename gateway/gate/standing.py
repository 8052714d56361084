"""Whether an application is served now: its state and time, and its account's state."""

from __future__ import annotations

from gateway.errors import Forbidden
from gateway.model import Account, AccountState, Application, State


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


def _refused(application: Application, text: str, code: str) -> Forbidden:
    return Forbidden(text, code=code, application=application.name)
