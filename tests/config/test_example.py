"""The example that is served by `gateway run plans/` and `gateway dev`, and the schema that editors read beside it."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway.config import ConfigError, load, schema
from gateway.model import Accept, ApiKey, Each, KeyPlace, Over, Period

Validator = jsonschema.Draft202012Validator
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "plans"
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.fixture(scope="module")
def validator() -> Validator:
    Validator.check_schema(schema())
    return Validator(schema())


def environment(certificates: Path) -> dict[str, str]:
    return {"ALERTS_SECRET": SECRET, "CERTS": str(certificates)}


def test_the_example_is_valid(certificates: Path) -> None:
    config = load(EXAMPLE, environment(certificates))
    assert config.data == ROOT / "data"
    paths = {"orders": "/orders", "stock": "/stock", "web": "/web"}
    assert {name: service.path for name, service in config.services.items()} == paths
    assert config.services["stock"].accept == (
        Accept(jwt="keycloak"),
        Accept(api_key=KeyPlace("header", "X-Api-Key")),
    )
    assert [(limit.value, limit.period, limit.over, limit.bins) for limit in config.plans["gold"].limits] == [
        (100, Period.MINUTE, Over.REJECT, (80, 100)),
        (50000, Period.MONTH, Over.ALLOW, (80, 100, 120)),
    ]
    assert config.applications["customers"].each is Each.CLIENT


def test_the_example_takes_its_surroundings_from_variables(certificates: Path) -> None:
    config = load(
        EXAMPLE,
        environment(certificates)
        | {"LISTEN": "127.0.0.1:1", "ADMIN": "127.0.0.1:2", "DATA": "/var/lib/gateway", "ISSUER": "http://sso.example"}
        | {
            "ORDERS_URL": "https://o:3",
            "STOCK_URL": "https://s:4",
            "WEB_URL": "https://w:5",
            "ALERTS_URL": "http://a:5/",
        },
    )
    assert [address.port for address in (config.listen[0].address, config.admin)] == [1, 2]
    assert (str(config.data), config.providers["keycloak"].issuer) == ("/var/lib/gateway", "http://sso.example")
    targets = [str(service.upstream.targets[0]) for service in config.services.values()]
    assert targets == ["https://o:3", "https://s:4", "https://w:5"]
    assert config.channels["ops"].to.url == "http://a:5/"


def test_the_example_has_no_secret_and_no_key_of_its_own(certificates: Path) -> None:
    """Who serves it must bring the secret; and nobody has a key, for none is known whose digest is all zeros."""
    assert load(EXAMPLE, environment(certificates)).applications["scanner"].api_keys == (ApiKey("sha256:" + "0" * 64),)
    with pytest.raises(
        ConfigError, match=r"'\$\{ALERTS_SECRET\}' is not set; set the variable ALERTS_SECRET"
    ) as refused:
        load(EXAMPLE, {"CERTS": str(certificates)})
    assert len(refused.value.problems) == 1


def test_the_published_schema_is_this_version_s() -> None:
    """`gateway schema > plans/schema.json` after a change."""
    assert json.loads((EXAMPLE / "schema.json").read_text()) == schema()


@pytest.mark.parametrize("file", sorted(EXAMPLE.glob("*.yaml")), ids=lambda file: file.name)
def test_editors_find_the_schema_and_no_fault_in_the_example(
    file: Path, validator: jsonschema.Draft202012Validator
) -> None:
    assert file.read_text().startswith("# yaml-language-server: $schema=schema.json\n")
    validator.validate(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("plans: {gold: {services: [orders], limits: {hits: [10/fortnight]}}}", ["plans", "gold", "limits", "hits", 0]),
        ("plans: {gold: {limits: {}}}", ["plans", "gold"]),
        ("gateway: {listn: '0.0.0.0:8080'}", ["gateway"]),
        ("gateway: {workers: 0}", ["gateway", "workers"]),
        ("accounts: {Acme: {}}", ["accounts"]),
        ("services: {orders: {rules: [{get /orders: hits}]}}", ["services", "orders", "rules", 0]),
        ("applications: {web: {plans: [gold], api_keys: [hunter2]}}", ["applications", "web", "api_keys", 0]),
    ],
)
def test_editors_find_faults(text: str, where: list[Any], validator: Validator) -> None:
    assert where in [[*error.absolute_path] for error in validator.iter_errors(yaml.safe_load(text))]


def test_no_other_room_needs_yaml_or_pydantic() -> None:
    """So that the processes which carry traffic start without them."""
    needed = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "gateway").rglob("*.py")
        if "config" not in file.relative_to(ROOT).parts
        for node in ast.walk(ast.parse(file.read_text()))
        if (isinstance(node, ast.Import) and {alias.name for alias in node.names} & {"yaml", "pydantic"})
        or (isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("yaml", "pydantic"))
    }
    assert needed == set()
