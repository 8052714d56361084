"""Plans before and after an edit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import load
from gateway.model import Config

KEY = "sha256:" + 64 * "a"
PLANS = f"""
version: 1
identity: {{sso: {{oidc: {{issuer: https://sso.example.com, audience: gateway}}}}}}
alerts:
  channels:
    ops: {{webhook: "http://127.0.0.1:9/hook", secret: whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=}}
services:
  orders:
    path: /orders
    upstream: {{targets: ["http://127.0.0.1:9001"]}}
    accept: [{{jwt: sso}}]
    metrics: {{writes: {{parent: hits}}}}
    rules:
      - GET /orders: hits
      - POST /orders: writes
plans:
  gold:
    services: [orders]
    limits: {{hits: [100/minute, 5000/month]}}
  free:
    services: [orders]
    allow: {{orders: [GET /orders]}}
    limits: {{hits: [10/minute]}}
accounts: {{acme: {{contact: {{email: api@acme.example}}}}}}
applications:
  mobile: {{plans: [gold], client_ids: [mobile-app], account: acme}}
  web: {{plans: [gold], client_ids: [web-app]}}
  scanner: {{plans: [free], api_keys: ["{KEY}"], client_ids: [scanner]}}
  staff: {{plans: [gold], match: {{roles: [staff]}}, each: user}}
  guests: {{plans: [free], match: {{roles: [guest]}}, each: user}}
"""

Edited = Callable[..., tuple[Config, Config]]


@pytest.fixture
def edited(tmp_path: Path) -> Edited:
    """`edited((old, new), …)`: the plans, and the same after texts were replaced."""

    def edit(*replacements: tuple[str, str]) -> tuple[Config, Config]:
        text = PLANS
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        configs = []
        for name, content in (("before", PLANS), ("after", text)):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "plans.yaml").write_text(content)
            configs.append(load(tmp_path / name))
        return configs[0], configs[1]

    return edit
