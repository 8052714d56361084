"""Text is read as the schema wants it, variables and files stand for values, and no value from there is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from gateway.model import Config

from .conftest import Write


def provider(write: Write, audience: str, **environ: str) -> str:
    """What a value written as `audience` becomes."""
    text = f"identity: {{keycloak: {{oidc: {{issuer: 'http://sso.example', audience: [{audience}]}}}}}}"
    return load(write(text), environ).providers["keycloak"].audience[0]


@pytest.mark.parametrize(
    "word", ["no", "on", "null", "~", "1.10", "0o17", "0x1F", "1_000", "2026-01-01", "1e3", "12:30"]
)
def test_what_yaml_would_take_for_something_else_stays_text(word: str, write: Write) -> None:
    assert provider(write, word) == word


def test_names_may_be_words_of_yaml(write: Write) -> None:
    config = load(write("accounts: {no: {}, null: {}, on: {contact: {email: yes@no.example}}}"))
    assert [*config.accounts] == ["no", "null", "on"]


@pytest.mark.parametrize(("written", "read"), [("true", True), ("false", False), ('"true"', True)])
def test_only_true_and_false_are_flags(written: str, read: bool, write: Write) -> None:
    service = f"{{strip_path: {written}, upstream: {{targets: ['http://x']}}, accept: [{{api_key: {{query: k}}}}], "
    assert load(write(f"services: {{x: {service}rules: [GET /: hits]}}}}")).services["x"].strip_path is read


@pytest.mark.parametrize(
    ("written", "environ", "read"),
    [
        ('"${AUDIENCE}"', {"AUDIENCE": "gateway"}, "gateway"),
        ('"${AUDIENCE:-gateway}"', {}, "gateway"),
        ('"${AUDIENCE:-gateway}"', {"AUDIENCE": ""}, "gateway"),  # as in a shell
        ('"${AUDIENCE:-gateway}"', {"AUDIENCE": "other"}, "other"),
        ('"a${X}b${Y:-c}"', {"X": "1"}, "a1bc"),
        ("$${AUDIENCE}", {}, "${AUDIENCE}"),
        ("$AUDIENCE", {}, "$AUDIENCE"),
        ('"${X}"', {"X": "${Y}"}, "${Y}"),  # values are taken as they are
    ],
)
def test_variables(written: str, environ: dict[str, str], read: str, write: Write) -> None:
    assert provider(write, written if written[0] == '"' else f'"{written}"', **environ) == read


@pytest.mark.parametrize(
    ("content", "read"),
    [("gateway", "gateway"), ("gateway\n", "gateway"), ("gateway\r\n", "gateway"), (" gateway ", " gateway ")],
)
def test_a_file_stands_for_its_content_without_the_last_line_break(content: str, read: str, write: Write) -> None:
    folder = write()
    (folder.parent / "audience.txt").write_bytes(content.encode())
    assert provider(write, "file:../audience.txt") == read
    assert provider(write, '"file:${WHERE}/audience.txt"', WHERE="..") == read


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"two\nlines\n", "holds a line break or a control character"),
        (b"\xff\xfe", "names a file that is not UTF-8 text"),
        (b"x" * 65_537, "names a file of more than 65536 bytes"),
        (b"", "is empty, would be text"),
    ],
)
def test_a_file_that_holds_no_value(content: bytes, message: str, write: Write, place: Path) -> None:
    (place / "audience.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=f"{message}$"):
        provider(write, "file:../audience.txt")


@pytest.mark.parametrize("name", ["", "..", "../audience.txt/x", "x" * 300])
def test_a_file_that_cannot_be_read(name: str, write: Write, place: Path) -> None:
    (place / "audience.txt").write_text("gateway")
    with pytest.raises(ConfigError, match=r"'file:.*' cannot be read: "):
        provider(write, f'"file:{name}"')


def test_keys_are_taken_as_they_are(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"'\$\{NAME\}' is not a name"):
        load(write('accounts: {"${NAME}": {}}'), {"NAME": "acme"})


@pytest.mark.parametrize(
    "text",
    [
        "accounts: {a: &a {contact: {email: x@y.example}}, b: *a}",
        "accounts: {a: {contact: &c {email: x@y.example}}, b: {contact: *c}}",
        "accounts: {a: {contact: {email: &e x@y.example}}, b: {contact: {email: *e}}}",
    ],
)
def test_aliases_repeat_a_value(text: str, write: Write) -> None:
    assert {account.email for account in load(write(text)).accounts.values()} == {"x@y.example"}


def test_a_mistake_in_a_repeated_value_is_told_for_each_place(write: Write) -> None:
    with pytest.raises(ConfigError) as refused:
        load(write("accounts: {a: &a {contact: {email: x}}, b: *a}"))
    assert [problem.path for problem in refused.value.problems] == [
        "accounts.a.contact.email",
        "accounts.b.contact.email",
    ]


def test_a_problem_is_a_value_of_its_own(write: Write) -> None:
    """For those who show problems in another way than as lines."""
    with pytest.raises(ConfigError) as refused:
        load(write("gateway: {drain: soon}"))
    (problem,) = refused.value.problems
    assert problem._asdict() == {
        "file": "plans/plans.yaml",
        "line": 1,
        "column": 18,
        "path": "gateway.drain",
        "message": "'soon' is not a duration such as 50ms, 5s, 2m or 1h",
    }
    assert isinstance(load(write("gateway: {drain: 5s}")), Config)
