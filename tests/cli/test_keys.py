"""`gateway keys create`: the key is shown once, and the plans get its digest."""

from __future__ import annotations

import json
from hashlib import sha256

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


def test_a_name_that_the_plans_would_refuse_is_a_usage_error(gateway: Run) -> None:
    refused = gateway("keys", "create", "--application", "Mobile App")
    assert refused.returncode == 2
    assert "'Mobile App' is not a name" in refused.stderr
