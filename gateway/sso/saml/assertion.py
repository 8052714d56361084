"""An assertion that is known to be signed → who signed in (core 2, profiles 4.1.4)."""

from __future__ import annotations

from gateway.sso.saml import names, times
from gateway.sso.saml.conditions import Expected, check_conditions, check_confirmations
from gateway.sso.saml.entities import NameId, SignedOn
from gateway.sso.saml.names import a, ds, xenc
from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.saml.shape import attributes, children, one, perhaps, some, text
from gateway.sso.saml.xml import Element

LONGEST_NAME = 255  # characters of a name, as of `sub` (OpenID Connect Core 2)
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


def read_assertion(assertion: Element, issuer: str, expected: Expected, now: float) -> SignedOn:
    """`issuer` is the provider's entity ID. Raises SamlRefused unless all holds at `now`."""
    attributes(assertion, ["ID", "Version", "IssueInstant"])
    if assertion.get("Version") != "2.0":
        raise SamlRefused("version_wrong", "the assertion is not of SAML 2.0")
    if next(assertion.iter(a("EncryptedID"), a("EncryptedAttribute"), xenc("EncryptedData")), None) is not None:
        raise SamlRefused("encrypted_id_refused", "the assertion encrypts the user's name or an attribute by itself")
    parts = _parts(assertion)
    check_issuer(parts[a("Issuer")][0], issuer)
    times.check_started(assertion.get("IssueInstant"), "IssueInstant of the assertion", now)
    name_id, confirmations = _subject(parts[a("Subject")][0])
    conditions = parts[a("Conditions")]
    if not conditions:
        raise SamlRefused("audience_missing", "the assertion has no conditions, so it does not say for whom it is")
    check_conditions(conditions[0], expected, now)
    until = check_confirmations(confirmations, expected, now)
    statement = parts[a("AuthnStatement")][0]
    by_name, friendly = _attributes(parts[a("AttributeStatement")])
    return SignedOn(
        assertion_id=str(assertion.get("ID")),
        issued=times.read(str(assertion.get("IssueInstant")), "IssueInstant of the assertion"),
        issuer=issuer,
        name_id=name_id,
        session_index=statement.get("SessionIndex"),
        authenticated=_authenticated(statement, now),
        context=_context(statement),
        session_ends=_session_end(statement, now),
        usable_until=until,
        in_response_to=expected.request,
        attributes=by_name,
        friendly=friendly,
    )


def _parts(assertion: Element) -> dict[str, list[Element]]:
    tags = {child.tag for child in assertion}
    if a("Subject") not in tags:
        raise SamlRefused("subject_missing", "the assertion names nobody")
    if a("AuthnStatement") not in tags:
        raise SamlRefused("authentication_missing", "the assertion does not say that the user signed in")
    head = (one(a("Issuer")), perhaps(ds("Signature")), one(a("Subject")), perhaps(a("Conditions")))
    before, after = some(a("AuthnStatement"), 1, 1), some(a("AttributeStatement"), 0, 20)
    if next(child.tag for child in assertion if child.tag in (before.tag, after.tag)) == before.tag:
        return children(assertion, *head, before, after)  # the schema has no order of statements
    return children(assertion, *head, after, before)


def check_issuer(element: Element, entity_id: str) -> None:
    """An Issuer names the provider by its entity ID, and in no other way (core 2.2.5)."""
    attributes(element, permitted=["Format"])
    if element.get("Format", names.ENTITY) != names.ENTITY or text(element) != entity_id:
        hint = f"it is from {text(element)[:300]!r}; the metadata is of {entity_id}"
        raise SamlRefused("issuer_wrong", "the message comes from another provider", hint=hint)


# --- the user


def _subject(subject: Element) -> tuple[NameId, list[Element]]:
    parts = children(subject, perhaps(a("NameID")), some(a("SubjectConfirmation"), 0, 10))
    if not parts[a("NameID")]:
        raise SamlRefused("subject_missing", "the assertion names nobody")
    return read_name_id(parts[a("NameID")][0]), parts[a("SubjectConfirmation")]


def read_name_id(element: Element) -> NameId:
    """A name reaches headers, logs and counters' keys, so it is short and printable."""
    attributes(element, permitted=["Format", "NameQualifier", "SPNameQualifier", "SPProvidedID"])
    value = text(element)
    if not is_name(value) or value != element.text:
        raise SamlRefused("name_id_refused", "the user's name is empty, too long, or not printable")
    return NameId(
        value=value,
        format=element.get("Format"),
        qualifier=element.get("NameQualifier"),
        sp_qualifier=element.get("SPNameQualifier"),
    )


def is_name(value: str) -> bool:
    return 0 < len(value) <= LONGEST_NAME and value.isprintable() and value == value.strip()


# --- how the user signed in


def _authenticated(statement: Element, now: float) -> float:
    attributes(statement, ["AuthnInstant"], ["SessionIndex", "SessionNotOnOrAfter"])
    index = statement.get("SessionIndex")
    if index is not None and not is_name(index):
        raise SamlRefused("structure_wrong", "SessionIndex is empty, too long, or not printable")
    instant = str(statement.get("AuthnInstant"))
    times.check_started(instant, "AuthnInstant", now)
    return min(times.read(instant, "AuthnInstant"), now)  # of a clock that is ahead: just now


def _context(statement: Element) -> str | None:
    """AuthnContextClassRef (core 2.7.2.2)."""
    parts = children(statement, perhaps(a("SubjectLocality")), one(a("AuthnContext")))
    found = parts[a("AuthnContext")][0].findall(a("AuthnContextClassRef"))
    return text(found[0]) if len(found) == 1 else None


def _session_end(statement: Element, now: float) -> float | None:
    ends = statement.get("SessionNotOnOrAfter")
    if ends is None:
        return None
    when = times.read(ends, "SessionNotOnOrAfter")
    if when <= now:  # also by a clock that is behind: a session that is over would lead to sign in again and again
        raise SamlRefused("session_expired", "the user's session at the provider is over")
    return when


# --- attributes

_Values = dict[str, tuple[str, ...]]


def _attributes(statements: list[Element]) -> tuple[_Values, _Values]:
    """By Name and by FriendlyName; an attribute that comes several times has the values of all."""
    by_name: _Values = {}
    friendly: _Values = {}
    for statement in statements:
        for attribute in children(statement, some(a("Attribute")))[a("Attribute")]:
            values = _values(attribute)
            for key, found in (("Name", by_name), ("FriendlyName", friendly)):
                if name := attribute.get(key):
                    found[name] = (*found.get(name, ()), *values)
    return by_name, friendly


def _values(attribute: Element) -> tuple[str, ...]:
    """Those that are text; one made of elements, or absent by `xsi:nil`, is none."""
    if not attribute.get("Name"):
        raise SamlRefused("structure_wrong", "an attribute has no Name")
    values = children(attribute, some(a("AttributeValue")))[a("AttributeValue")]
    return tuple(value.text for value in values if not len(value) and not _is_nil(value) and value.text)


def _is_nil(value: Element) -> bool:
    return value.get(_NIL) in ("true", "1")
