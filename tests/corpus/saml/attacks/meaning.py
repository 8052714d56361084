"""Well signed, and still not to be taken: for others, for another time or place, without an answer to anything."""

from __future__ import annotations

from gateway.sso.saml import names
from gateway.sso.saml.conditions import Expected

from ..builder import ACS, ALICE, IDP, NOW, REQUEST, SP, Answer, at
from ..notation import Case, attack

EVIL = "https://evil.example"
STATUS = '<samlp:Status><samlp:StatusCode Value="%s"/></samlp:Status>'
NESTED = '<samlp:Status><samlp:StatusCode Value="%s"><samlp:StatusCode Value="%s"/></samlp:StatusCode></samlp:Status>'
AUDIENCE = "<saml:AudienceRestriction><saml:Audience>%s</saml:Audience></saml:AudienceRestriction>"
HEAD = f'ID="_response" Version="2.0" IssueInstant="{at(-1)}"'
AUTHN = "<saml:AuthnStatement %s><saml:AuthnContext/></saml:AuthnStatement>"
ATTRIBUTE = "<saml:AttributeStatement><saml:Attribute %s/></saml:AttributeStatement>"
BODY = Answer()._body()


def data(until: float = 300, *, to: str = ACS, answers: str = REQUEST, more: str = "") -> str:
    return f'Recipient="{to}" NotOnOrAfter="{at(until)}" InResponseTo="{answers}" {more}'


def name(xml: str) -> str:
    return f"<saml:NameID>{xml}</saml:NameID>"


ISSUER: list[Case] = [
    attack("response of another issuer", "issuer_wrong", issuer=f"<saml:Issuer>{EVIL}</saml:Issuer>"),
    attack("assertion of another issuer", "issuer_wrong", assertion_issuer=f"<saml:Issuer>{EVIL}</saml:Issuer>"),
    attack("issuer with a slash more", "issuer_wrong", assertion_issuer=f"<saml:Issuer>{IDP}/</saml:Issuer>"),
    attack("issuer in capitals", "issuer_wrong", assertion_issuer=f"<saml:Issuer>{IDP.upper()}</saml:Issuer>"),
    attack("issuer of another format", "issuer_wrong",
           assertion_issuer=f'<saml:Issuer Format="{names.EMAIL}">{IDP}</saml:Issuer>'),
    attack("empty issuer", "issuer_wrong", assertion_issuer="<saml:Issuer/>"),
    attack("assertion without an issuer", "structure_wrong", sign="R", assertion_issuer=""),
    attack("two issuers", "structure_wrong", sign="R", issuer=f"<saml:Issuer>{IDP}</saml:Issuer>" * 2),
    attack("an issuer of elements", "structure_wrong", sign="R",
           assertion_issuer=f"<saml:Issuer><x>{IDP}</x></saml:Issuer>"),
]  # fmt: skip

PLACE: list[Case] = [
    attack("another destination", "destination_wrong",
           response=f'{HEAD} Destination="{EVIL}" InResponseTo="{REQUEST}"'),
    attack("no destination", "destination_wrong", response=f'{HEAD} InResponseTo="{REQUEST}"'),
    attack("an empty destination", "destination_wrong", response=f'{HEAD} Destination="" InResponseTo="{REQUEST}"'),
    attack("a destination that begins alike", "destination_wrong",
           response=f'{HEAD} Destination="{ACS}/more" InResponseTo="{REQUEST}"'),
    attack("a destination without TLS", "destination_wrong",
           response=f'{HEAD} Destination="{ACS.replace("https", "http")}" InResponseTo="{REQUEST}"'),
    attack("another recipient", "recipient_wrong", data=data(to=EVIL)),
    attack("a recipient that begins alike", "recipient_wrong", data=data(to=f"{ACS}.evil.example")),
    attack("no recipient", "recipient_wrong", data=f'NotOnOrAfter="{at(300)}" InResponseTo="{REQUEST}"'),
    attack("another audience", "audience_wrong", audience=AUDIENCE % "urn:example:other"),
    attack("an audience that begins alike", "audience_wrong", audience=AUDIENCE % f"{SP}-2"),
    attack("an audience in capitals", "audience_wrong", audience=AUDIENCE % SP.upper()),
    attack("an empty audience", "audience_wrong", audience=AUDIENCE % ""),
    attack("one of two restrictions is for others", "audience_wrong",
           audience=AUDIENCE % SP + AUDIENCE % "urn:example:other"),
    attack("no audience", "audience_missing", audience=""),
    attack("an empty restriction", "structure_wrong", audience="<saml:AudienceRestriction/>"),
    attack("no conditions", "audience_missing",
           body=BODY.partition("<saml:Conditions")[0] + BODY.partition("</saml:Conditions>")[2]),
    attack("a condition that nobody knows", "condition_unknown",
           audience=AUDIENCE % SP + '<saml:Condition xsi:type="xs:string"/>'),
    attack("a foreign condition", "condition_unknown", audience=AUDIENCE % SP + '<x xmlns="urn:x"/>'),
]  # fmt: skip

TIME: list[Case] = [
    attack("conditions have expired", "expired", conditions=f'NotOnOrAfter="{at(-60)}"'),
    attack("conditions are not valid yet", "not_yet_valid", conditions=f'NotBefore="{at(61)}"'),
    attack("the confirmation has expired", "expired", data=data(-60)),
    attack("the confirmation has no end", "confirmation_invalid", data=f'Recipient="{ACS}" InResponseTo="{REQUEST}"'),
    attack("the confirmation has a beginning", "confirmation_invalid", data=data(more=f'NotBefore="{at(-9)}"')),
    attack("the confirmation holds for years", "lifetime_too_long", data=data(3e7)),
    attack("the assertion is of the future", "not_yet_valid",
           assertion=f'ID="_assertion" Version="2.0" IssueInstant="{at(61)}"'),
    attack("the response is of the future", "not_yet_valid",
           response=f'ID="_response" Version="2.0" IssueInstant="{at(61)}" Destination="{ACS}" '
                    f'InResponseTo="{REQUEST}"'),
    attack("the user signs in later", "not_yet_valid", authn=AUTHN % f'AuthnInstant="{at(61)}"'),
    attack("the session is over", "session_expired",
           authn=AUTHN % f'AuthnInstant="{at(-9)}" SessionNotOnOrAfter="{at(-60)}"'),
    *(attack(f"a time like {text!r}", "time_malformed", conditions=f'NotOnOrAfter="{text}"') for text in (
        "", "2026-03-01", "2026-03-01T12:05:00", "2026-03-01T12:05:00+01:00", "2026-03-01 12:05:00Z",
        "2026-13-01T12:05:00Z", "2026-02-30T12:05:00Z", "20260301T120500Z", "-2026-03-01T12:05:00Z",
        "99999-03-01T12:05:00Z", "2026-03-01T24:05:00Z", "1772366700", "NaN", "٢٠٢٦-03-01T12:05:00Z",
    )),
    Case("played a day later", "expired", Answer(), {"now": NOW + 86_400}),
    Case("played before it was made", "not_yet_valid", Answer(), {"now": NOW - 86_400}),
]  # fmt: skip

REQUESTS: list[Case] = [
    attack("the response answers another request", "request_unknown",
           response=f'{HEAD} Destination="{ACS}" InResponseTo="_other"'),
    attack("the confirmation answers another request", "request_unknown", data=data(answers="_other")),
    attack("the response answers nothing", "request_unknown", response=f'{HEAD} Destination="{ACS}"'),
    attack("the confirmation answers nothing", "request_unknown",
           data=f'Recipient="{ACS}" NotOnOrAfter="{at(300)}"'),
    attack("the request in capitals", "request_unknown", data=data(answers=REQUEST.upper())),
    Case("an answer where nothing was asked", "request_unknown", Answer(), {"expected": Expected(SP, ACS, None)}),
    Case("only the confirmation answers where nothing was asked", "request_unknown",
         Answer(response=f'{HEAD} Destination="{ACS}"'), {"expected": Expected(SP, ACS, None)}),
    Case("an answer to another sign-in", "request_unknown", Answer(), {"expected": Expected(SP, ACS, "_mine")}),
]  # fmt: skip

STATUSES: list[Case] = [
    *(attack(f"status {each}", "status_refused", status=STATUS % f"{names.STATUS}{each}")
      for each in ("Requester", "Responder", "VersionMismatch", "success", "Success ", "")),
    attack("no status", "structure_wrong", status=""),
    attack("a status without a code", "status_refused", status="<samlp:Status/>"),
    attack("two statuses", "structure_wrong", status=STATUS % names.SUCCESS * 2),
    attack("the user did not sign in", "status_refused",
           status=NESTED % (f"{names.STATUS}Responder", f"{names.STATUS}AuthnFailed")),
    attack("success in failure", "status_refused", status=NESTED % (f"{names.STATUS}Responder", names.SUCCESS)),
    attack("failure in success", "status_refused", status=NESTED % (names.SUCCESS, f"{names.STATUS}Responder")),
    attack("success of another namespace", "status_refused", status=STATUS % "urn:evil:status:Success"),
]  # fmt: skip

SUBJECT: list[Case] = [
    attack("nobody is named", "subject_missing", name_id=""),
    attack("no subject", "subject_missing", body=BODY.partition("</saml:Subject>")[2]),
    attack("an empty name", "name_id_refused", name_id=name("")),
    attack("a name of white space", "name_id_refused", name_id=name("  ")),
    attack("white space before the name", "name_id_refused", name_id=name(f" {ALICE}")),
    attack("a line end in the name", "name_id_refused", name_id=name("alice&#10;x-plan: gold")),
    attack("a carriage return in the name", "name_id_refused", name_id=name("alice&#13;")),
    attack("a control character in the name", "name_id_refused", name_id=name("alice&#x85;")),
    attack("a reversed name", "name_id_refused", name_id=name("\N{RIGHT-TO-LEFT OVERRIDE}ecila")),
    attack("a very long name", "name_id_refused", name_id=name("a" * 256)),
    attack("two names", "structure_wrong", name_id=name("alice") + name("mallory")),
    attack("elements in the name", "structure_wrong", name_id=name(f"<x>{ALICE}</x>")),
    attack("an encrypted name", "encrypted_id_refused", name_id="<saml:EncryptedID/>"),
    attack("a BaseID", "structure_wrong", name_id="<saml:BaseID/>"),
    attack("holder of key", "confirmation_invalid", method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"),
    attack("sender vouches", "confirmation_invalid", method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"),
    attack("no method", "confirmation_invalid", method=""),
    attack("no confirmation", "confirmation_invalid", confirmation=""),
    attack("a confirmation without data", "structure_wrong",
           confirmation=f'<saml:SubjectConfirmation Method="{names.BEARER}"/>'),
    attack("key info in the confirmation", "structure_wrong",
           confirmation=f'<saml:SubjectConfirmation Method="{names.BEARER}"><saml:SubjectConfirmationData {data()}>'
                        f"<x/></saml:SubjectConfirmationData></saml:SubjectConfirmation>"),
]  # fmt: skip

STATEMENTS: list[Case] = [
    attack("no authentication", "authentication_missing", authn=""),
    attack("two authentications", "structure_wrong", authn=AUTHN % f'AuthnInstant="{at(-2)}"' * 2),
    attack("an authentication without a time", "structure_wrong", authn=AUTHN % ""),
    attack("an authentication without a context", "structure_wrong",
           authn=f'<saml:AuthnStatement AuthnInstant="{at(-2)}"/>'),
    attack("an empty SessionIndex", "structure_wrong", authn=AUTHN % f'AuthnInstant="{at(-2)}" SessionIndex=""'),
    attack("an attribute without a name", "structure_wrong", attributes=ATTRIBUTE % ""),
    attack("an encrypted attribute", "encrypted_id_refused",
           attributes="<saml:AttributeStatement><saml:EncryptedAttribute/></saml:AttributeStatement>"),
    attack("an authorization decision", "structure_wrong", attributes="<saml:AuthzDecisionStatement/>"),
    attack("text between the parts", "structure_wrong", attributes="mallory"),
    attack("an assertion of SAML 1.1", "version_wrong", assertion=f'ID="_a" Version="1.1" IssueInstant="{at(-1)}"'),
    attack("a response of SAML 1.1", "version_wrong",
           response=f'ID="_r" Version="1.1" IssueInstant="{at(-1)}" Destination="{ACS}" InResponseTo="{REQUEST}"'),
    attack("an attribute that the response has not", "structure_wrong",
           response=f'{HEAD} Destination="{ACS}" InResponseTo="{REQUEST}" Trusted="yes"'),
    attack("no assertion", "assertion_missing", assertions=lambda text: ""),
    attack("the assertion twice", "id_repeated", assertions=lambda text: text * 2),
    attack("another message", "structure_wrong",
           text=lambda octets: octets.replace(b"samlp:Response", b"samlp:LogoutResponse")),
    attack("a response of no namespace", "structure_wrong",
           text=lambda octets: octets.replace(b"<samlp:Response", b'<Response xmlns=""').replace(
               b"</samlp:Response", b"</Response")),
]  # fmt: skip
