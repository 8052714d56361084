"""docs/credentials.md: each example is loaded, and its requests are asked of a passport and a gate."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from rigs.issuers import Issuer

from gateway.config import load
from gateway.errors import GatewayError
from gateway.gate import Gate
from gateway.identity.passport import Passport
from gateway.model import Config
from gateway.quota.memory import MemoryLedger
from gateway.routing.router import compile_router
from gateway.site import identity_lines, permits_of

DOCUMENT = Path(__file__).parents[1] / "docs" / "credentials.md"
FIRST = datetime(2100, 1, 4, tzinfo=UTC).timestamp()
FIELDS = {"key": b"x-api-key", "id": b"app-id", "page": b"referer"}


class Example(NamedTuple):
    title: str
    plans: str
    rows: list[dict[str, str]]


@dataclass
class Request:
    """A gate's Ask, from a row of a table."""

    fields: list[tuple[bytes, bytes]]
    peer: str
    path: bytes
    certificate: bytes | None
    method: bytes = b"GET"
    host: bytes = b"a"
    query: bytes = b""
    origin: bytes = b"https://a"
    own_cookies: tuple[bytes, ...] = field(default=())

    def header(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]


def examples() -> list[Example]:
    sections = DOCUMENT.read_text().split("\n## ")[1:]
    return [
        Example(section.partition("\n")[0], yaml[1], rows_of(section))
        for section in sections
        if (yaml := re.search(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL))
    ]


def rows_of(section: str) -> list[dict[str, str]]:
    heads, _, *rows = [
        [cell.strip() for cell in line[1:-1].split("|")] for line in section.splitlines() if line.startswith("|")
    ]
    return [dict(zip(heads, row, strict=True)) for row in rows]


class Place:
    """A gateway's rooms over the plans of an example, at a time that the rows say."""

    def __init__(self, config: Config, issuer: Issuer) -> None:
        self.now = FIRST
        self._issuer = issuer
        self._certificates: dict[str, bytes] = {}
        (self._service,) = config.services.values()
        passport = Passport(
            config.providers, config.applications.values(), certificates=config.certificates, clock=self._clock
        )
        ledger = MemoryLedger(self._clock, lambda alert: None)
        router = compile_router(config.services.values())
        self._gate = Gate(config, router, passport, ledger, permits_of(config), identity_lines, clock=self._clock)

    def _clock(self) -> float:
        return self.now

    def answer(self, row: dict[str, str]) -> str:
        if "at" in row:
            self.now = datetime.fromisoformat(row["at"]).replace(tzinfo=UTC).timestamp()
        ask = self._request(row)
        try:
            admission = self._gate.admit(ask, self._gate.route(ask), print)
        except GatewayError as error:
            return f"{error.status} {error.code}"
        assert admission is not None
        return f"200 {admission.subscription.application.name}"

    def _request(self, row: dict[str, str]) -> Request:
        beside_id = row.get("id") and self._service.accept[-1].app_id and not self._service.accept[0].api_key
        names = {**FIELDS, "key": b"app-key"} if beside_id else FIELDS
        fields = [(names[name], row[name].encode()) for name in names if row.get(name)]
        certificate = self._certificate(row["certificate"]) if row.get("certificate") else None
        return Request(fields, row.get("address", "192.0.2.1"), self._service.path.encode(), certificate)

    def _certificate(self, name: str) -> bytes:
        if name not in self._certificates:
            self._certificates[name] = self._issuer.issue("device", dns=[name]).der
        return self._certificates[name]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.title)
def test_the_example_answers_as_its_table_says(example: Example, tmp_path: Path) -> None:
    issuer = Issuer(now=FIRST)
    (tmp_path / "devices.pem").write_bytes(issuer.pem)
    (tmp_path / "plans.yaml").write_text(example.plans)
    place = Place(load(tmp_path, {}), issuer)
    assert [place.answer(row) for row in example.rows] == [row["answer"] for row in example.rows]


def test_there_are_examples() -> None:
    assert len(examples()) == 4
