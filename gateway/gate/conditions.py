"""What must hold of an application, its plan and an identity before anything is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gateway.errors import Forbidden, GatewayError, StepUpNeeded
from gateway.gate.protocols import Permits
from gateway.model import ANY_VALUE, Identity, Plan, Require, Route

CLOCKS = 30.0  # seconds that the provider's clock may differ

Missing = Callable[[str, Identity], GatewayError]


def outside_plan(scope: str, plan: Plan) -> Forbidden:
    """An endpoint that the plan does not list, or of which it allows none."""
    return Forbidden("the plan does not include this endpoint", code="not_in_plan", application=scope, plan=plan.name)


def requirements(route: Route, plans: Iterable[Plan]) -> tuple[Require, ...]:
    """What the service, the rules that matched and the plans ask for, all together."""
    return (*route.requires, *(plan.require for plan in plans if plan.require is not None))


def permits_all(permits: Sequence[Permits]) -> Permits | None:
    """What all of several plans allow; None: everything that has a rule."""
    if len(permits) < 2:
        return permits[0] if permits else None
    return lambda method, path, query: all(allows(method, path, query) for allows in permits)


def require_all(requires: Iterable[Require], identity: Identity, service: str, now: float) -> None:
    """Raises Forbidden for what signing in again would not help, then Unauthorized for what it would."""
    for require in requires:
        refusal = _lacking(require, identity) or _lacking_scopes(require, identity, service)
        if refusal is not None:
            raise refusal
    for require in requires:
        if not signed_in_well(require, identity, now):
            raise _step_up(require, identity, service)


def meets(require: Require, identity: Identity) -> bool:
    """Whether an identity is one of these, whenever and however it was proven."""
    return _lacking(require, identity) is None and identity.scopes.issuperset(require.scopes)


def _lacking(require: Require, identity: Identity) -> Forbidden | None:
    if require.roles and identity.roles.isdisjoint(require.roles):
        return Forbidden(f"needs a role ({_choice(require.roles)})", code="role_missing")
    if require.groups and identity.groups.isdisjoint(require.groups):
        return Forbidden(f"needs a group ({_choice(require.groups)})", code="group_missing")
    for path, values in require.claims.items():
        if not _claimed(claim_at(identity.claims, path), values):
            return Forbidden(f"the claim {path} is not one that is required", code="claim_missing")
    return None


def _choice(names: tuple[str, ...]) -> str:
    return " or ".join(names)


def claim_at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of this very name (they may hold dots), else what the path leads to; None: nothing is there."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _claimed(value: Any, wanted: tuple[str, ...]) -> bool:
    """Whether a claim, or an item of it, is one of these. What is empty is not there."""
    if isinstance(value, list):
        return any(_claimed(item, wanted) for item in value if not isinstance(item, list))
    if value is None or value in ("", {}):
        return False
    return ANY_VALUE in wanted or _text(value) in wanted


def _text(value: Any) -> str | None:
    """As it is written in the files; an object is none of their values."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None


def _scheme(identity: Identity) -> str:
    return "DPoP" if "dpop" in identity.proof else "Bearer"


def _lacking_scopes(require: Require, identity: Identity, service: str) -> Forbidden | None:
    """RFC 6750 3.1; the challenge names all that are needed."""
    if identity.scopes.issuperset(require.scopes):
        return None
    scope = " ".join(require.scopes)
    told = f'error="insufficient_scope", error_description="needs the scopes {scope}", scope="{scope}"'
    challenge = f'{_scheme(identity)} realm="{service}", {told}'
    return Forbidden(f"needs the scopes {scope}", code="insufficient_scope", challenges=(challenge,))


def signed_in_well(require: Require, identity: Identity, now: float) -> bool:
    """Whether the user was authenticated in one of the ways asked for, and lately enough."""
    if require.acr and identity.claims.get("acr") not in require.acr:
        return False
    if require.max_age is None:
        return True
    when = identity.claims.get("auth_time")
    return isinstance(when, int | float) and -CLOCKS <= now - when <= require.max_age


def _step_up(require: Require, identity: Identity, service: str) -> StepUpNeeded:
    """RFC 9470 3: how the user must be authenticated."""
    detail = "the user must sign in again, as the challenge says"
    told = [f'error="insufficient_user_authentication", error_description="{detail}"']
    if require.acr:
        told.append(f'acr_values="{" ".join(require.acr)}"')
    if require.max_age is not None:
        told.append(f'max_age="{int(require.max_age)}"')
    challenge = f'{_scheme(identity)} realm="{service}", {", ".join(told)}'
    return StepUpNeeded(detail, challenges=(challenge,), acr=require.acr, max_age=require.max_age)
