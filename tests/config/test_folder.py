"""Which files are read, in which order, and what is said of those that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.config import ConfigError, load

from .conftest import Write


def problems(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(folder, {})
    return str(refused.value).splitlines()


def test_sections_are_spread_over_files(write: Write) -> None:
    folder = write(b="accounts: {b: {}}", a="accounts: {a: {}}")
    (folder / "c.yml").write_text("accounts: {c: {}}\nversion: 1")
    (folder / "d.yaml").write_text("version: 1")
    assert [*load(folder).accounts] == ["a", "b", "c"]


def test_the_keys_of_the_gateway_and_channels_are_spread_too(write: Write) -> None:
    config = load(
        write(
            a="gateway: {drain: 1s}\nalerts: {channels: {a: {webhook: http://a}}}",
            b="gateway: {admin: 127.0.0.1:1}\nalerts: {channels: {b: {webhook: http://b}}}",
        )
    )
    assert (config.drain.timeout, config.admin.port, [*config.channels]) == (1.0, 1, ["a", "b"])


def test_a_name_is_defined_once(write: Write) -> None:
    assert problems(
        write(a="accounts: {a: {}}\ngateway: {drain: 1s}", b="accounts: {a: {}}\ngateway: {drain: 2s}")
    ) == [
        "plans/b.yaml:1:12: accounts.a: 'a' is already defined at plans/a.yaml:1:12",
        "plans/b.yaml:2:11: gateway.drain: 'drain' is already defined at plans/a.yaml:2:11",
    ]


def test_a_section_that_is_none_in_one_file_is_told_once(write: Write) -> None:
    folder = write(a="accounts: [a]", b="accounts: {b: {}}", c="accounts: c")
    assert problems(folder) == [
        "plans/a.yaml:1:1: accounts: is a list, would be a mapping",
        "plans/c.yaml:1:11: accounts: is text, would be a mapping",
    ]


def test_several_documents_are_as_several_files(write: Write) -> None:
    assert [*load(write("accounts: {a: {}}\n---\n---\naccounts: {b: {}}\n...\n")).accounts] == ["a", "b"]


@pytest.mark.parametrize("text", ["# nothing\n", "---\n", "\n", "\ufeff", "\ufeffaccounts: {}\r\nplans: {}\r\n"])
def test_files_may_be_empty_and_from_any_editor(text: str, write: Write) -> None:
    folder = write(a="accounts: {a: {}}")
    (folder / "b.yaml").write_bytes(text.encode())
    assert [*load(folder).accounts] == ["a"]


def test_paths_are_relative_to_their_file_not_to_the_working_directory(
    write: Write, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("gateway: {data: ../data}")
    (place / "elsewhere").mkdir()
    monkeypatch.chdir(place / "elsewhere")
    assert load(Path("../plans")).data == place / "data"
    assert load(place / "plans").data == place / "data"


def test_a_folder_as_kubernetes_mounts_it(place: Path) -> None:
    """A ConfigMap's files are links through `..data` to a hidden folder: each is read once."""
    folder = place / "plans"
    (folder / "..2026_01_01").mkdir()
    (folder / "..2026_01_01" / "a.yaml").write_text("accounts: {a: {}}")
    (folder / "..data").symlink_to("..2026_01_01")
    (folder / "a.yaml").symlink_to("..data/a.yaml")
    (folder / ".hidden.yaml").write_text("not: [yaml")
    (folder / "notes.txt").write_text("not: [yaml")
    assert [*load(folder).accounts] == ["a"]


def test_a_folder_that_is_missing_or_no_folder_or_empty(place: Path) -> None:
    (place / "file.yaml").write_text("")
    assert problems(Path("nowhere")) == ["nowhere: there is no such folder"]
    assert problems(Path("file.yaml")) == ["file.yaml: the folder cannot be read: Not a directory"]
    assert problems(Path("plans")) == ["plans: the folder has no YAML file (*.yaml, *.yml)"]


def test_names_that_lead_to_no_text(place: Path) -> None:
    (place / "plans" / "folder.yaml").mkdir()
    (place / "plans" / "dangling.yaml").symlink_to("nowhere")
    os.mkfifo(place / "plans" / "pipe.yaml")
    assert problems(Path("plans")) == [
        "plans/dangling.yaml:1:1: there is no such file",
        "plans/folder.yaml:1:1: is not a file",
        "plans/pipe.yaml:1:1: is not a file",
    ]


def test_a_file_that_is_too_large(place: Path) -> None:
    with (place / "plans" / "a.yaml").open("wb") as file:
        file.truncate(8 * 1024 * 1024 + 1)
    assert problems(Path("plans")) == ["plans/a.yaml:1:1: is larger than 8388608 bytes; spread it over several files"]


def test_problems_come_by_file_and_position(write: Write) -> None:
    folder = write(
        b="gateway: {drain: soon, workers: two}\nplans: {Gold: {services: [x]}}", a="accounts: [a]\nversion: 3"
    )
    assert [line.split(": ")[0] for line in problems(folder)] == [
        "plans/a.yaml:1:1",
        "plans/a.yaml:2:10",
        "plans/b.yaml:1:18",
        "plans/b.yaml:1:33",
        "plans/b.yaml:2:9",
    ]


def test_a_file_that_cannot_be_read_makes_no_names_unknown(write: Write) -> None:
    """What it defines is not known, so references to it are no mistakes; other mistakes are told all the same."""
    applications = "applications: {web: {plans: [gold], client_ids: [web], state: alive}}"
    assert problems(write(a="plans: {gold: ", b=applications)) == [
        "plans/a.yaml:1:15: is not YAML: did not find expected node content",
        "plans/b.yaml:1:63: applications.web.state: 'alive' is not known here; did you mean 'live'?",
    ]
