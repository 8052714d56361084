"""The command as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
TERMINAL = {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "120"}


@pytest.fixture
def gateway(tmp_path: Path) -> Run:
    """Runs the installed console script in an empty folder."""
    script = Path(sys.executable).with_name("gateway")

    def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [script, *arguments],
            input=stdin,
            cwd=tmp_path,
            env=os.environ | TERMINAL | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    """A small folder of plans that is valid."""
    folder = tmp_path / "plans"
    folder.mkdir()
    (folder / "gateway.yaml").write_text(
        """\
version: 1
services:
  orders:
    path: /orders
    upstream: {targets: ["http://127.0.0.1:9001"]}
    accept:
      - api_key: {header: X-Api-Key}
    rules:
      - GET /orders: hits
plans:
  gold:
    services: [orders]
    limits: {hits: [100/minute]}
  free:
    services: [orders]
    limits: {hits: [10/minute]}
applications:
  mobile:
    plans: [gold]
    api_keys: ["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
"""
    )
    return folder
