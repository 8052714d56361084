"""Whom an assertion is for, when, and who may bring it (core 2.4 and 2.5, profiles 4.1.4)."""

from __future__ import annotations

from typing import NamedTuple

from gateway.sso.saml import names, times
from gateway.sso.saml.names import a
from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.saml.shape import attributes, children, one, perhaps, some, text
from gateway.sso.saml.xml import Element

LONGEST = 24 * 3600.0  # seconds that an assertion may be usable: as long is it remembered as used


class Expected(NamedTuple):
    """What the gateway asked for. `request` is the ID of its AuthnRequest; None: it did not ask."""

    entity_id: str
    acs: str
    request: str | None


def check_conditions(conditions: Element, expected: Expected, now: float) -> None:
    """Raises SamlRefused unless each condition holds; one that is not known does not (core 2.5.1.1)."""
    attributes(conditions, permitted=["NotBefore", "NotOnOrAfter"])
    times.check_started(conditions.get("NotBefore"), "NotBefore of the conditions", now)
    times.check_running(conditions.get("NotOnOrAfter"), "NotOnOrAfter of the conditions", now)
    for condition in conditions:
        if condition.tag not in _KNOWN:
            raise SamlRefused("condition_unknown", "the assertion holds under a condition that is not known")
    audiences = conditions.findall(a("AudienceRestriction"))
    if not audiences:
        raise SamlRefused("audience_missing", "the assertion does not say for whom it is")
    for restriction in audiences:
        _check_audience(restriction, expected.entity_id)


_KNOWN = frozenset(
    [
        a("AudienceRestriction"),
        a("OneTimeUse"),  # every assertion is taken once only
        a("ProxyRestriction"),  # for those who issue assertions of their own
    ]
)


def _check_audience(restriction: Element, entity_id: str) -> None:
    """Any one of the audiences; each restriction must hold (core 2.5.1.4)."""
    named = [text(audience) for audience in children(restriction, some(a("Audience"), 1))[a("Audience")]]
    if entity_id not in named:
        hint = f"it is for {', '.join(named)[:300]}; the gateway's entity_id is {entity_id}"
        raise SamlRefused("audience_wrong", "the assertion is for another service provider", hint=hint)


def check_confirmations(confirmations: list[Element], expected: Expected, now: float) -> float:
    """One of them lets the bearer in, here and now; returns when it no longer does.

    Raises the refusal of the last that was for bearers.
    """
    refusal = SamlRefused("confirmation_invalid", "the assertion is not confirmed for its bearer")
    for confirmation in confirmations:
        if confirmation.get("Method") == names.BEARER:
            try:
                return _bearer(confirmation, expected, now)
            except SamlRefused as error:
                refusal = error
    raise refusal


def _bearer(confirmation: Element, expected: Expected, now: float) -> float:
    attributes(confirmation, ["Method"])
    parts = children(confirmation, perhaps(a("NameID")), one(a("SubjectConfirmationData")))
    data = parts[a("SubjectConfirmationData")][0]
    children(data)
    attributes(data, permitted=["Recipient", "NotOnOrAfter", "InResponseTo", "Address", "NotBefore"])
    if data.get("NotBefore") is not None or data.get("NotOnOrAfter") is None:  # profiles 4.1.4.2
        raise SamlRefused("confirmation_invalid", "the confirmation has NotBefore, or has no NotOnOrAfter")
    if data.get("Recipient") != expected.acs:
        hint = f"it is for {str(data.get('Recipient'))[:300]}; expected {expected.acs}"
        raise SamlRefused("recipient_wrong", "the assertion was meant for another address", hint=hint)
    check_answers(data, expected)
    until = str(data.get("NotOnOrAfter"))
    times.check_running(until, "NotOnOrAfter of the confirmation", now)
    ends = times.read(until, "NotOnOrAfter of the confirmation")
    if ends > now + LONGEST:
        raise SamlRefused("lifetime_too_long", "the assertion may be used for more than a day")
    return ends + times.SKEW


def check_answers(element: Element, expected: Expected) -> None:
    """InResponseTo is the gateway's own request; where it sent none, it is absent (profiles 4.1.5)."""
    answered = element.get("InResponseTo")
    if answered == expected.request:
        return
    if expected.request is None:
        raise SamlRefused("request_unknown", "the message answers a request that this sign-in did not make")
    raise SamlRefused("request_unknown", "the message does not answer the request of this sign-in")
