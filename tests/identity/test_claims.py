"""The identity that claims prove."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.identity.claims import Rules, aspects, check, check_told, identity_of
from gateway.identity.id_token import check_id_token, check_logout_token, check_own_access_token
from gateway.identity.refusals import InvalidToken
from gateway.identity.token import Token
from gateway.model import Oidc

BASE = {"iss": "https://sso.example/realms/demo", "sub": "4f1c", "exp": 1_800_000_300}


def test_another_issuers_claims_are_refused():
    token = Token("RS256", "first", {"typ": "JWT"}, {**BASE, "aud": "gateway", "typ": "Bearer"}, b"", b"")
    check(token, Rules("keycloak", BASE["iss"], frozenset({"gateway"})), now=1_800_000_000)
    with pytest.raises(InvalidToken) as caught:
        check(token, Rules("keycloak", BASE["iss"] + "/", frozenset({"gateway"})), now=1_800_000_000)
    assert caught.value.code == "issuer_wrong"


def test_an_identity_holds_what_the_token_says():
    identity = identity_of({**BASE, "azp": "mobile-app"}, "keycloak")
    assert (identity.subject, identity.client_id, identity.issuer) == ("4f1c", "mobile-app", BASE["iss"])
    assert (identity.expires, identity.proof) == (1_800_000_300.0, ("jwt:keycloak",))
    assert identity.application is None


def test_azp_comes_before_client_id():
    assert identity_of({**BASE, "azp": "a", "client_id": "b"}, "keycloak").client_id == "a"
    assert identity_of({**BASE, "client_id": "b"}, "keycloak").client_id == "b"
    assert identity_of(BASE, "keycloak").client_id is None


def test_roles_are_the_realms_and_each_clients():
    access = {
        "realm_access": {"roles": ["customer", "staff"]},
        "resource_access": {"orders": {"roles": ["admin"]}, "account": {"roles": ["view-profile"]}},
    }
    roles = {"customer", "staff", "orders:admin", "account:view-profile"}
    assert identity_of({**BASE, **access}, "keycloak").roles == roles


def test_no_role_can_pass_for_another_clients():
    access = {"realm_access": {"roles": ["orders:admin"]}, "resource_access": {"orders": {"roles": ["eu:admin", "x"]}}}
    assert identity_of({**BASE, **access}, "keycloak").roles == {"orders:x"}


@pytest.mark.parametrize(
    "access",
    [
        None,
        7,
        "customer",
        ["customer"],
        {},
        {"roles": None},
        {"roles": "customer"},
        {"roles": {"customer": True}},
        {"roles": ["customer", 7]},
        {"roles": [["customer"]]},
        {"role": ["customer"]},
    ],
)
def test_malformed_roles_are_no_roles(access):
    claims = {**BASE, "realm_access": access, "resource_access": {"orders": access}}
    assert identity_of(claims, "keycloak").roles == frozenset()
    assert identity_of({**BASE, "resource_access": access}, "keycloak").roles == frozenset()


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "openid orders:read"}, {"openid", "orders:read"}),
        ({"scope": ["openid", "orders:read"]}, {"openid", "orders:read"}),
        ({"scp": ["orders:read"]}, {"orders:read"}),
        ({"scope": "openid", "scp": "orders:read"}, {"openid"}),
        ({"scope": 7}, set()),
        ({"scope": ["openid", 7]}, set()),
        ({"scope": {"openid": True}}, set()),
        ({}, set()),
    ],
)
def test_scopes_are_those_of_scope_or_scp(claims, scopes):
    assert identity_of({**BASE, **claims}, "keycloak").scopes == scopes


@pytest.mark.parametrize(("groups", "found"), [(["/staff"], {"/staff"}), ("/staff", set()), ([7], set()), ({}, set())])
def test_groups_are_a_list(groups, found):
    assert identity_of({**BASE, "groups": groups}, "keycloak").groups == found


@pytest.mark.parametrize("cnf", [5, None, [], "x", {}, {"jkt": 5}])
def test_each_aspect_is_told_whatever_the_others_are(cnf):
    oidc = Oidc(name="keycloak", issuer=BASE["iss"], audience=("gateway",))
    claims = {**BASE, "aud": "gateway", "typ": "Bearer", "cnf": cnf}
    token = Token("RS256", "k", {"typ": "JWT"}, claims, b"", b"")
    told = {about: error and error.code for about, error in aspects(token, oidc, 1_800_000_000)}
    assert told.keys() == {"issuer", "binding", "type", "times", "audience", "names"}
    assert [about for about, code in told.items() if code is not None] == ["binding"]


NOW = 1_800_000_000
RULES = Rules("keycloak", BASE["iss"], frozenset({"gateway"}))
WHOLE = {**BASE, "aud": ["gateway"], "typ": "Bearer", "azp": "mobile-app", "iat": NOW}
NAMES = [
    *(
        "iss",
        "aud",
        "exp",
        "nbf",
        "iat",
        "typ",
        "sub",
        "azp",
        "client_id",
        "cnf",
        "jti",
        "sid",
        "scope",
        "scp",
        "groups",
    ),
    *("token_type", "token_use", "nonce", "events", "c_hash", "realm_access", "resource_access"),
]
VALUES = st.sampled_from(
    [None, True, 0, -1, 1e308, 1.5, 10**31, "", "gateway", "Bearer", "DPoP", "ID", "Logout", "\ud800", "A" * 43, NOW,
     [], {}, ["gateway"], [[]], [1], {"jkt": "A" * 43}, {"x5t#S256": 7}, {"roles": [{}]}, {"a": {"roles": "b"}}]
)  # fmt: skip
CLAIMS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)


@given(CLAIMS, CLAIMS, VALUES)
@example({"typ": "DPoP", "cnf": 1.5}, {}, None)
def test_every_check_decides_whatever_the_claims_are(changed, told, kind):
    """A fault would be an error of the gateway's, and not of who sent them."""
    claims = {**WHOLE, **changed}
    token = Token("RS256", "first", {"typ": kind if "typ" in told else "JWT"}, claims, b"", b"")
    checks = (
        lambda: identity_of(claims, "keycloak") if check(token, RULES, NOW) is None else None,
        lambda: check_told(claims, RULES, NOW, None),
        lambda: check_told({**WHOLE, **told}, RULES, NOW, token),
        lambda: check_id_token(token, BASE["iss"], "gateway", NOW, nonce="n", code="c"),
        lambda: check_logout_token(token, BASE["iss"], "gateway", NOW),
        lambda: check_own_access_token(token, BASE["iss"], "mobile-app", "4f1c", NOW),
    )
    for one in checks:
        with suppress(InvalidToken):
            one()
