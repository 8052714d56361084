"""`gateway dev` as a user runs it, with the example plans."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen

import psutil
import pytest

from gateway.devkit.dev import run_dev
from gateway.devkit.servers import listener, port_of

PLANS = Path(__file__).parents[2] / "plans"
COMMAND = [sys.executable, "-m", "gateway", "dev"]


@pytest.fixture(scope="module")
def story() -> subprocess.CompletedProcess[str]:
    """One whole demonstration."""
    return subprocess.run([*COMMAND, "--once", str(PLANS)], capture_output=True, text=True, timeout=60, check=False)


def test_the_demonstration_succeeds_and_complains_of_nothing(story: subprocess.CompletedProcess[str]) -> None:
    assert (story.returncode, story.stderr) == (0, "")


def test_the_time_to_readiness_is_told(story: subprocess.CompletedProcess[str]) -> None:
    assert re.search(r"^ready in \d+\.\d s$", story.stdout, re.MULTILINE)


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "403 Forbidden", "429 Too Many Requests"])
def test_each_kind_of_answer_is_shown(story: subprocess.CompletedProcess[str], status: str) -> None:
    assert f"    HTTP/1.1 {status}\n" in story.stdout


def test_the_service_saw_who_asked(story: subprocess.CompletedProcess[str]) -> None:
    assert '"caller":{"application":"mobile","plan":"gold","subject":"' in story.stdout
    assert '"caller":{"application":"scanner","plan":"warehouse","subject":"' in story.stdout


def test_a_client_past_the_gateway_is_refused(story: subprocess.CompletedProcess[str]) -> None:
    assert "no answer: the service ends a connection without the gateway's certificate\n" in story.stdout


def test_the_limit_says_when_to_come_back(story: subprocess.CompletedProcess[str]) -> None:
    refusal = story.stdout.partition("429 Too Many Requests")[2]
    assert re.search(r"^    retry-after: \d+$", refusal, re.MULTILINE)
    assert '"code":"over_limit"' in refusal


def test_each_alert_is_shown(story: subprocess.CompletedProcess[str]) -> None:
    """What is used is told within a second of its use, so that it may be more than the threshold by then."""
    used = re.findall(r"^    \S+ under plan free: hits per minute: (\d+)/10 ", story.stdout, re.MULTILINE)
    assert len(used) == 2
    assert 8 <= int(used[0]) <= int(used[1]) == 10


def test_output_into_a_pipe_is_plain(story: subprocess.CompletedProcess[str]) -> None:
    assert "\x1b" not in story.stdout


class Stay:
    """`gateway dev` that stays up: what it printed until then, and its process."""

    def __init__(self, process: Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.lines: list[str] = []
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("Ctrl-C"):
                return
        raise AssertionError(f"it ended: {process.stderr and process.stderr.read()}")

    def command(self, start: str) -> str:
        """The first printed command that starts so."""
        return next(line for line in self.lines if line.startswith(start))


@pytest.fixture
def stay(tmp_path: Path) -> Iterator[Stay]:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with Popen([*COMMAND, str(PLANS)], stdout=PIPE, stderr=PIPE, text=True, env=environment) as process:
        try:
            yield Stay(process)
        finally:
            process.terminate()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the printed commands use curl")
def test_printed_commands_work_and_ctrl_c_leaves_nothing(stay: Stay, tmp_path: Path) -> None:
    script = f"set -eu\n{stay.command('TOKEN=')}\n{stay.command('curl -i -H')}"
    pasted = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert pasted.stdout.startswith("HTTP/1.1 200 OK")
    children = psutil.Process(stay.process.pid).children(recursive=True)
    assert children
    stay.process.send_signal(signal.SIGINT)
    _, errors = stay.process.communicate(timeout=20)
    assert (stay.process.returncode, errors) == (0, "")
    assert not [child for child in children if child.is_running()]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("listen", ["8080", "127.0.0.1:http", "127.0.0.1:70000", ":8080"])
def test_an_address_that_is_none_is_told(listen: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_dev(PLANS, once=True, listen=listen) == 1
    assert capsys.readouterr().err == f"gateway dev: {listen!r} is not HOST:PORT, as 127.0.0.1:8080\n"


def test_a_taken_address_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with listener() as taken:
        address = f"127.0.0.1:{port_of(taken)}"
        assert run_dev(PLANS, once=True, listen=address) == 1
    assert capsys.readouterr().err == f"gateway dev: cannot listen on {address}: Address already in use\n"


def test_a_gateway_that_does_not_start_is_told_with_its_reasons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.yaml").write_text("version: 1\nfortnight: {}\n")
    assert run_dev(tmp_path, once=True) == 1
    errors = capsys.readouterr().err
    assert "gateway dev: the gateway ended with exit code 1; it says:" in errors
    assert "broken.yaml:2:1" in errors


def test_a_person_is_sent_to_sign_in(story: subprocess.CompletedProcess[str]) -> None:
    assert "    HTTP/1.1 302 Found\n" in story.stdout
    assert "    location: /.sso/login?to=/web\n" in story.stdout
    assert re.search(r"Open http://127\.0\.0\.1:\d+/web in a browser, and be Alice or Bob\.", story.stdout)
