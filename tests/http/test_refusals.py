"""Refusals in a service's own words."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Forbidden, OverLimit, Unauthorized
from gateway.http.answers import problem
from gateway.http.refusals import escape_of, rendered, split
from gateway.model import Limit, Outcome, Period, Refusal, Verdict

OUTCOME = Outcome(Verdict.REFUSED, Limit(plan="gold", period=Period.DAY, value=5), 0, 86_400.0, 60)
OVER = OverLimit("over the limit", OUTCOME, application="mobile", plan="gold")


def answer(error: Exception, refusal: Refusal | None) -> tuple[str, dict[str, str], str]:
    """Status line, fields and body."""
    head, _, body = problem(error, "r-1", now=0.0, close=False, refusal=refusal).partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    return line, dict(field.split(": ", 1) for field in fields), body.decode()


def template(body: str, content_type: str | None = None, status: int | None = None) -> Refusal:
    return Refusal(status, content_type, split(body))


def test_a_template_says_what_is_known_of_the_refusal() -> None:
    body = "{application} of {plan}: {limit} {metric}/{period}, {code}, until {resets_at} ({retry_after} s){service}"
    line, fields, text = answer(OVER, template(body, status=503))
    assert line == "HTTP/1.1 503 Service Unavailable"
    assert fields["content-type"] == "text/plain; charset=utf-8"
    assert fields["retry-after"] == "60"
    assert fields["content-length"] == str(len(text))
    assert text == "mobile of gold: 5 hits/day, over_limit, until 1970-01-02T00:00:00+00:00 (60 s)"


def test_a_status_alone_keeps_the_problem() -> None:
    line, fields, text = answer(OVER, Refusal(403))
    assert (line, fields["content-type"]) == ("HTTP/1.1 403 Forbidden", "application/problem+json")
    assert (json.loads(text)["status"], json.loads(text)["code"]) == (403, "over_limit")


def test_challenges_stay_with_their_status_alone() -> None:
    error = Unauthorized("who?", challenges=("Bearer",))
    assert answer(error, template("no"))[1]["www-authenticate"] == "Bearer"
    assert "www-authenticate" not in answer(error, template("no", status=403))[1]


def test_braces_that_hold_no_name_are_text() -> None:
    assert split('{"a": {"b": "{code}"}}') == ('{"a": {"b": "', "code", '"}}')
    with pytest.raises(ValueError, match="user"):
        split("{code} {user}")


@given(st.text())
def test_no_value_leaves_a_string_of_json(value: str) -> None:
    body = rendered(split('{"detail": "{detail}"}'), "application/json", {"detail": value})
    assert json.loads(body) == {"detail": value.encode("utf-8", "replace").decode()}


@given(st.text())
def test_no_value_leaves_text_or_an_attribute_of_html_and_xml(value: str) -> None:
    seen: list[tuple[str, list[tuple[str, str | None]]]] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append((tag, [(name, None) for name, _ in attrs]))

    for kind in ("text/html; charset=utf-8", "application/xml"):
        body = rendered(split('<p title="{detail}">{detail}</p>'), kind, {"detail": value}).decode()
        seen.clear()
        Tags().feed(body)
        assert seen == [("p", [("title", None)])]
    assert list(ElementTree.fromstring(body.replace("\ufffe", "").replace("\uffff", ""))) == []


def test_types_whose_escaping_nobody_knows_are_told() -> None:
    assert escape_of("text/csv") is None
    assert escape_of("application/problem+json; charset=utf-8") is not None


def test_what_is_not_known_is_empty() -> None:
    assert answer(Forbidden("no", code="no_plan"), template("[{metric}{retry_after}]"))[2] == "[]"
