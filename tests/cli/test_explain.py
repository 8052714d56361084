"""`gateway explain` without a gateway, a store or a provider."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.identity.revocations import KEY
from gateway.store.marks import Row
from gateway.store.marks_file import save
from gateway.store.store_marks import Seen

from .conftest import Run


def test_a_token_may_come_from_stdin_and_stays_out_of_the_history(gateway: Run, plans: Path) -> None:
    shown = gateway("explain", "plans", "-", stdin="a.b.c\n")
    assert shown.returncode == 1
    assert "refused  form: the token is not canonical base64url" in shown.stdout


def test_what_cannot_be_looked_at_is_told(gateway: Run, plans: Path) -> None:
    steps = json.loads(gateway("explain", "plans", "-r", "GET /orders", "-o", "json").stdout)
    assert steps[0]["about"] == "store"
    assert "is not looked at" in steps[0]["text"]
    assert [step["code"] for step in steps if step["verdict"] == "refused"] == ["credentials_missing"]


def test_sessions_of_people_are_not_looked_at(gateway: Run, plans: Path) -> None:
    file = plans / "gateway.yaml"
    signing = "sign_in: {client_id: g, client_secret: s}"
    provider = f"keycloak: {{oidc: {{issuer: 'http://127.0.0.1:1/realms/demo', audience: gateway, {signing}}}}}"
    line = "      - api_key: {header: X-Api-Key}"
    text = file.read_text().replace("version: 1\n", f"version: 1\nidentity: {{{provider}}}\n")
    file.write_text(text.replace(line, f"      - sign_in: [keycloak]\n{line}"))
    shown = gateway("explain", "plans", "-r", "GET /orders")
    assert "note     accept[0]: a person signed in at keycloak; sessions are not looked at here" in shown.stdout, (
        shown.stderr
    )
    assert "(401 credentials_missing)" in shown.stdout


def test_with_the_memory_store_what_a_gateway_has_saved_is_looked_at(gateway: Run, plans: Path) -> None:
    file = plans / "gateway.yaml"
    file.write_text(file.read_text().replace("version: 1\n", "version: 1\ngateway: {store: memory, data: ../data}\n"))
    (plans.parent / "data").mkdir()
    digest = sha256(b"test").hexdigest()  # the key that the plans have
    save(plans.parent / "data", Seen(), [Row(KEY, f"sha256:{digest}", 1, "", None)])
    shown = gateway("explain", "plans", "-r", "GET /orders", "-H", "X-Api-Key: test")
    assert "note     store: memory: what was counted is in the gateway alone" in shown.stdout, shown.stderr
    assert "(401 api_key_revoked)" in shown.stdout


def test_what_no_listener_would_take(gateway: Run, plans: Path) -> None:
    shown = gateway("explain", "plans", "-r", "GET /../x")
    assert (shown.returncode, shown.stdout) == (
        1,
        "refused  request: the path climbs above its root (400 bad_request)\n",
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "say what: a TOKEN, or --request"),
        (("-r", "orders"), "'orders' is not a method and a path"),
        (("-r", "GET /", "-H", "secret"), "a header is written as Name: value"),
    ],
)
def test_what_is_no_question(gateway: Run, plans: Path, arguments: tuple[str, ...], told: str) -> None:
    refused = gateway("explain", "plans", *arguments)
    assert refused.returncode == 2
    assert told in " ".join(refused.stderr.replace("│", " ").split())
