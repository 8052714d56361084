"""The corpus: every attack is refused for its reason, every valid response of whatever provider is taken."""

from __future__ import annotations

import pytest
from corpus.saml.attacks import CLASSES
from corpus.saml.builder import ALICE, Answer, taken
from corpus.saml.notation import Case
from corpus.saml.vendors import VALID, Valid

from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.saml.refusals import __doc__ as table

ATTACKS = {f"{kind}: {case.name}": case for kind, cases in CLASSES.items() for case in cases}


@pytest.mark.parametrize("case", ATTACKS.values(), ids=ATTACKS)
def test_is_refused(case: Case) -> None:
    with pytest.raises(SamlRefused) as refused:
        taken(case.answer.xml(), **case.how)
    assert refused.value.code == case.code
    assert refused.value.detail.isprintable()
    assert f"`{case.code}`" in (table or "")


@pytest.mark.parametrize("valid", VALID, ids=[f"valid: {valid.name}" for valid in VALID])
def test_is_taken(valid: Valid) -> None:
    signed_on = taken(valid.answer.xml(), **valid.how)
    assert signed_on.values(valid.attribute) == valid.values


def test_no_case_stands_there_twice() -> None:
    assert len(ATTACKS) == sum(map(len, CLASSES.values())) >= 300


def test_what_the_corpus_is_made_from_is_valid() -> None:
    signed_on = taken(Answer().xml())
    assert signed_on.name_id.value == ALICE
    assert signed_on.session_index == "_session"
    assert signed_on.values("groups") == signed_on.values("memberOf") == ("staff", "admins")
    assert signed_on.values("other") == ()
