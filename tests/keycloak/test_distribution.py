"""Getting Keycloak: a registry that refuses skips the tests, whatever else goes wrong fails them.

Scripts stand for Java and Maven here, because the real ones cannot be made to fail.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import pytest

from . import distribution

HOME = f"keycloak-{distribution.VERSION}"
NAME = distribution.NAME
KC = f"{HOME}/bin/kc.sh"


class Program(Protocol):
    def __call__(self, name: str, script: str) -> None:
        """Puts a program on the path."""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The path holds a Java, what is put here, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        (folder / name).chmod(0o755)

    put("java", "exit 0")
    return put


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def delivering(build: str) -> str:
    """A Maven that unpacks a Keycloak whose `kc.sh` is the script `build`; Maven runs in the folder to unpack to."""
    return f"mkdir -p {HOME}/bin && printf '#!/bin/sh\\n{build}\\n' >{KC} && chmod +x {KC}"


def test_the_first_install_builds_and_the_next_finds_it(program: Program, cache: Path) -> None:
    program("mvn", delivering('echo "$@" >>options'))
    home = distribution.install(cache)
    assert distribution.install(cache) == home == cache / NAME
    assert (home / "options").read_text() == " ".join(distribution.BUILD) + "\n"


def test_two_installs_at_once_build_once(program: Program, cache: Path, tmp_path: Path) -> None:
    program("mvn", delivering(f"echo built >>{tmp_path}/builds; /bin/sleep 0.1"))
    with ThreadPoolExecutor() as pool:
        homes = {*pool.map(distribution.install, [cache] * 4)}
    assert homes == {cache / NAME}
    assert (tmp_path / "builds").read_text() == "built\n"


@pytest.mark.parametrize(
    "answer",
    [
        "Could not find artifact org.keycloak:keycloak-quarkus-dist:zip:26 in central",
        "Could not transfer artifact org.keycloak:keycloak-quarkus-dist:zip:26 from/to central: 403 Forbidden",
        "No plugin found for prefix 'dependency' in the current project",
    ],
)
def test_a_registrys_refusal_is_told_apart(program: Program, cache: Path, answer: str) -> None:
    program("mvn", f'echo "[ERROR] {answer}"; exit 1')
    with pytest.raises(distribution.Refused, match=answer):
        distribution.install(cache)


def test_any_other_failure_of_maven_is_none(program: Program, cache: Path) -> None:
    program("mvn", "echo 'No space left on device'; exit 1")
    with pytest.raises(distribution.Broken, match="No space left on device"):
        distribution.install(cache)


def test_a_build_that_fails_leaves_nothing_in_the_cache(program: Program, cache: Path) -> None:
    program("mvn", delivering("echo Unsupported class version; exit 1"))
    with pytest.raises(distribution.Broken, match="Unsupported class version"):
        distribution.install(cache)
    assert [path.name for path in cache.iterdir()] == [f"{NAME}.lock"]


def test_what_a_killed_build_left_behind_is_swept_away(program: Program, cache: Path) -> None:
    (cache / f"{NAME}.part" / HOME / "half").mkdir(parents=True)
    program("mvn", delivering(""))
    assert not (distribution.install(cache) / "half").exists()


def test_what_is_not_installed_is_named_with_its_package(program: Program, cache: Path) -> None:
    with pytest.raises(distribution.ToolMissing, match="needs `mvn`: apt-get install maven"):
        distribution.install(cache)


def test_a_build_that_is_there_needs_no_maven(program: Program, cache: Path) -> None:
    (cache / NAME).mkdir(parents=True)
    assert distribution.install(cache) == cache / NAME
