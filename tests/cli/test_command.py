"""The command itself: help, versions, and what a typo shows."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from gateway import __version__, build
from gateway.cli.command import command

from .conftest import Run


@pytest.mark.parametrize(
    "verb",
    [
        *((), ("dev",), ("run",), ("reload",), ("validate",), ("schema",), ("doctor",), ("version",)),
        *(("keys",), ("keys", "create"), ("usage",), ("usage", "show"), ("usage", "export"), ("usage", "import")),
    ],
)
def test_every_verb_has_help(verb: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(command(), [*verb, "--help"], prog_name="gateway")
    assert shown.exit_code == 0
    assert shown.stdout.split()[:2] == ["Usage:", "gateway"]


@pytest.mark.parametrize("verb", ["dev", "run", "reload", "validate", "schema", "doctor", "version"])
def test_help_shows_an_example(verb: str) -> None:
    shown = CliRunner().invoke(command(), [verb, "-h"], prog_name="gateway")
    assert f"Example:  gateway {verb}" in shown.stdout


def test_no_verb_shows_the_verbs(gateway: Run) -> None:
    shown = gateway()
    assert shown.returncode == 2
    assert "validate" in shown.stdout + shown.stderr


def test_a_mistyped_verb_is_a_usage_error_that_names_the_right_one(gateway: Run) -> None:
    shown = gateway("validat", "plans/")
    assert shown.returncode == 2
    assert "No such command 'validat'. Did you mean 'validate'?" in shown.stderr
    assert shown.stdout == ""


def test_a_mistyped_option_is_a_usage_error_that_names_the_right_one(gateway: Run) -> None:
    shown = gateway("dev", "--onec")
    assert shown.returncode == 2
    assert "No such option: --onec" in shown.stderr
    assert "--once" in shown.stderr


def test_the_version_is_told_as_text_and_as_json(gateway: Run) -> None:
    text = f"gateway {__version__} ({build()}, Python {platform.python_version()})\n"
    assert gateway("--version").stdout == gateway("version").stdout == text
    data = json.loads(gateway("version", "-o", "json").stdout)
    assert data == {"gateway": __version__, "build": build(), "python": platform.python_version()}


def test_the_module_is_the_command() -> None:
    shown = subprocess.run([sys.executable, "-m", "gateway", "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith(f"gateway {__version__}")


def test_colours_are_for_terminals_and_not_where_they_are_unwanted(gateway: Run) -> None:
    colour = re.compile(r"\x1b\[[0-9;]*3[0-9]").search
    assert colour(gateway("--help", FORCE_COLOR="1", NO_COLOR="").stdout)
    assert not colour(gateway("--help", FORCE_COLOR="1", NO_COLOR="1").stdout)
    assert not colour(gateway("--help", NO_COLOR="").stdout)


def test_the_shell_completes_verbs(gateway: Run) -> None:
    shown = gateway(_GATEWAY_COMPLETE="complete_bash", COMP_WORDS="gateway va", COMP_CWORD="1")
    assert shown.stdout.split() == ["validate"]


def test_a_command_starts_without_what_other_verbs_need() -> None:
    code = (
        "import sys, gateway.cli as cli\n"
        "sys.argv = ['gateway', 'version']\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('yaml', 'cryptography', 'starlette', 'redis', 'httpx2') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"
