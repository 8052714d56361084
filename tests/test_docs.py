"""What the documents say is so: examples load, keys, metrics and codes are those of the code, links lead somewhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config import load, schema
from gateway.errors import GatewayError
from gateway.http.codes import CODES, EARLY
from gateway.telemetry.registry import Registry

ROOT = Path(__file__).parents[1]
DOCS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def text(name: str) -> str:
    return (ROOT / name).read_text()


def words(name: str) -> set[str]:
    """What a document sets as code or has as a heading, in words."""
    return {
        word
        for span in re.findall(r"`([^`\n]+)`|^#+ (.*)$", text(name), re.MULTILINE)
        for word in re.findall(r"[a-z][a-z0-9_]*", "".join(span))
    }


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder for plans whose examples name certificates: trustme's are at the examples' paths."""
    import trustme

    ca = trustme.CA()
    gateway = ca.issue_cert("gateway")
    folder = tmp_path / "certs"
    folder.mkdir()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    gateway.cert_chain_pems[0].write_to_path(folder / "gateway.pem")
    gateway.private_key_pem.write_to_path(folder / "gateway.key")
    return tmp_path


@pytest.mark.parametrize("document", ["README.md", "docs/configuration.md"])
def test_the_examples_are_valid_plans(document: str, certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "a password")
    monkeypatch.setenv("OPS_SECRET", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    for number, example in enumerate(re.findall(r"^```yaml\n(.*?)^```", text(document), re.MULTILINE | re.DOTALL)):
        (certificates / f"{number}.yaml").write_text(example)
    if document == "README.md":  # it shows one file of several
        (certificates / "more.yaml").write_text(
            "version: 1\nidentity: {keycloak: {oidc: {issuer: https://sso.example.com/realms/demo, audience: gateway}}}"
        )
    assert load(certificates).applications["mobile"].plans == ("gold",)


def test_the_plans_for_compose_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISSUER", "http://localhost:8180/realms/demo")
    monkeypatch.setenv("REDIS_PASSWORD", "a password")
    assert load(ROOT / "deploy" / "plans").services.keys() == {"orders"}


def test_every_key_of_the_configuration_is_documented() -> None:
    assert set(keys_of(schema())) - words("docs/configuration.md") == set()


def keys_of(node: Any) -> Iterator[str]:
    """All property names in a JSON Schema."""
    if isinstance(node, dict):
        yield from node.get("properties", {})
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from keys_of(item)


def test_every_metric_is_documented_and_no_other() -> None:
    names = {metric.name + ("_total" if metric.type == "counter" else "") for metric in Registry().collect()}
    names = {name + "_info" if name == "gateway_build" else name for name in names}
    told = set(re.findall(r"`(gateway_[a-z_]+)", text("docs/operations.md")))
    assert told == names


def test_every_code_of_an_error_is_documented() -> None:
    codes = {code for path in (ROOT / "gateway").rglob("*.py") for code in codes_of(ast.parse(path.read_text()))}
    assert {"not_in_plan", "token_expired", "upstream_timeout"} <= codes
    assert codes - words("docs/http.md") == set()
    assert codes - CODES - EARLY == set(), "a new code belongs in one of them"


def codes_of(tree: ast.Module) -> Iterator[str]:
    """Codes that errors are made with: `code=…`, else the class's own; an Invalid's first argument."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        given = [word.value for word in call.keywords if word.arg == "code"]
        if name in ("Invalid", "InvalidToken"):
            given = call.args[:1]
        elif name in ERRORS and not given:
            yield ERRORS[name]
        yield from (value.value for value in given if isinstance(value, ast.Constant) and isinstance(value.value, str))


ERRORS = {error.__name__: error.code for error in (GatewayError, *GatewayError.__subclasses__())}


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []
