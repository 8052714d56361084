"""What must hold of an application and its plan before anything is counted."""

from __future__ import annotations

from gateway.errors import Forbidden
from gateway.model import Application, Plan, State


def require_live(application: Application) -> None:
    """Raises Forbidden for a suspended or pending application."""
    if application.state is not State.LIVE:
        state = application.state
        raise Forbidden(f"the application is {state}", code=f"application_{state}", application=application.name)


def outside_plan(scope: str, plan: Plan) -> Forbidden:
    """An endpoint that the plan does not list, or of which it allows none."""
    return Forbidden("the plan does not include this endpoint", code="not_in_plan", application=scope, plan=plan.name)
