"""`gateway keys`: a key is shown once, and the plans get its digest."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from rigs.issuers import Issuer
from rigs.processes import free_address

from gateway.cli.key_choice import fingerprint_in

from .conftest import Run


def test_the_key_alone_is_on_stdout_and_the_line_to_paste_on_stderr(gateway: Run) -> None:
    made = gateway("keys", "create", "--application", "mobile")
    assert made.returncode == 0
    key = made.stdout.removesuffix("\n")
    assert key.startswith("gwk_")
    assert key not in made.stderr
    digest = sha256(key.encode()).hexdigest()
    assert made.stderr.endswith(f'\napplications:\n  mobile:\n    api_keys: ["sha256:{digest}"]\n')


def test_each_key_is_another(gateway: Run) -> None:
    assert gateway("keys", "create").stdout != gateway("keys", "create").stdout


def test_json_holds_key_and_digest(gateway: Run) -> None:
    made = json.loads(gateway("keys", "create", "-a", "mobile", "-o", "json").stdout)
    assert made["application"] == "mobile"
    assert made["digest"] == "sha256:" + sha256(made["key"].encode()).hexdigest()


def test_a_certificates_file_is_known_by_its_fingerprint(tmp_path: Path) -> None:
    issued = Issuer(now=datetime.now(UTC).timestamp()).issue("pump")
    fingerprint = issued.certificate.fingerprint(hashes.SHA256()).hex()
    assert fingerprint_in(str(issued.write(tmp_path, "pump"))) == f"sha256:{fingerprint}"
    (tmp_path / "ci").write_text("no certificate")
    assert [fingerprint_in(str(tmp_path / name)) for name in ("ci", "none")] == [None, None]


def test_a_name_that_the_plans_would_refuse_is_a_usage_error(gateway: Run) -> None:
    refused = gateway("keys", "create", "--application", "Mobile App")
    assert refused.returncode == 2
    assert "'Mobile App' is not a name" in refused.stderr


def test_a_key_with_a_name_and_an_end(gateway: Run) -> None:
    made = gateway("keys", "create", "-a", "mobile", "--name", 'the "ci"', "--expires", "2099-12-31", "--tag", "test")
    key = made.stdout.strip()
    assert key.startswith("gwk_test_")
    digest = sha256(key.encode()).hexdigest()
    line = f'{{key: "sha256:{digest}", name: "the \\"ci\\"", expires: 2099-12-31}}'
    assert made.stderr.endswith(f"\n    api_keys: [{line}]\n")


def test_an_end_may_be_some_days_from_now(gateway: Run) -> None:
    made = json.loads(gateway("keys", "create", "--expires", "90d", "-o", "json").stdout)
    ends = datetime.fromisoformat(made["expires"])
    assert abs(ends - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=2)


def test_a_key_that_is_for_some_alone(gateway: Run) -> None:
    only = ("--address", "10.0.0.0/8", "--address", "2001:db8::/32", "--referrer", "https://*.example.com")
    made = gateway("keys", "create", *only)
    assert made.returncode == 0
    assert 'addresses: ["10.0.0.0/8", "2001:db8::/32"], referrers: ["https://*.example.com"]}]' in made.stderr
    told = json.loads(gateway("keys", "create", *only, "-o", "json").stdout)
    assert (told["addresses"], told["referrers"]) == (["10.0.0.0/8", "2001:db8::/32"], ["https://*.example.com"])


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--address", "10.0.0.1/8", "'10.0.0.1/8' is no network"),
        ("--referrer", "ftp://example.com", "'ftp://example.com' is not a page's origin"),
        ("--expires", "2020-01-01", "'2020-01-01' is in the past"),
        ("--expires", "soon", "'soon' is not a date such as 2026-12-31"),
        ("--tag", "Test!", "'Test!' is not a tag"),
    ],
)
def test_options_that_cannot_be(gateway: Run, option: str, value: str, told: str) -> None:
    refused = gateway("keys", "create", option, value)
    assert refused.returncode == 2
    assert told in refused.stderr


def test_the_keys_of_the_plans_and_whose_they_are(gateway: Run, plans: Path) -> None:
    made = json.loads(gateway("keys", "create", "-o", "json").stdout)
    (plans / "more.yaml").write_text(
        "applications:\n"
        f"  web: {{plans: [free], api_keys: [{{key: '{made['digest']}', name: ci, expires: 2020-01-01, "
        "addresses: 10.0.0.0/8, referrers: ['https://*.example.com']}]}\n"
    )
    shown = gateway("keys", "ls", "plans", "--admin", free_address())
    assert "no gateway answers" in shown.stderr
    assert "so what was revoked, and when keys were used, is not shown" in shown.stderr
    assert shown.returncode == 0, shown.stderr
    heads, mobile, web = shown.stdout.splitlines()
    assert heads.split() == ["application", "key", "name", "state", "expires", "last", "used", "only", "for"]
    assert mobile.split() == ["mobile", "sha256:9f86d081884c…", "valid", "never"]
    assert web.split()[2:] == ["ci", "expired", "2020-01-01T00:00Z", "10.0.0.0/8,", "https://*.example.com"]
    (row,) = json.loads(gateway("keys", "ls", "plans", "-a", "web", "-o", "json").stdout)
    assert (row["kind"], row["digest"]) == ("api_key", made["digest"])
