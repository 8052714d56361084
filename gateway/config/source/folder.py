"""A folder of YAML files → one tree. Each file may hold a part of a section; a name is defined once."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path

from gateway.config.problems import Complaint, Problem, kind, quote
from gateway.config.source.compose import Stop, Tell, compose
from gateway.config.source.substitute import substitute
from gateway.config.source.tree import Mark, Node

SUFFIXES = (".yaml", ".yml")
LARGEST = 8 * 1024 * 1024  # bytes of one file
_SPREAD = {"version": 0, "alerts": 2}  # how many levels of a section files may share; else 1: its names


def read_folder(folder: Path, environ: Mapping[str, str], tell: Tell) -> Node:
    """One tree of all `*.yaml` and `*.yml` in `folder`, by name; hidden ones (Kubernetes' `..data`) are left out.

    It is `broken` where a file could not be read, so that names may be unknown for that reason alone.
    """
    whole = Node(folder, Mark(folder, 0, 0))
    whole.value = {}
    for file in _listed(folder, tell):
        roots = _read(file, tell)
        whole.broken |= roots is None
        for root in roots or ():
            substitute(root, environ, tell)
            if isinstance(root.value, dict):
                _merge(whole, root, tell)
            elif root.value:
                tell(root.mark.problem("a file is a mapping of sections, such as services: and plans:"))
    return whole


def _listed(folder: Path, tell: Tell) -> list[Path]:
    def lacks(what: str) -> list[Path]:
        tell(Problem(str(folder), 0, 0, "", what))
        return []

    try:
        found = sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES and not p.name.startswith("."))
    except FileNotFoundError:
        return lacks("there is no such folder")
    except OSError as error:
        return lacks(f"the folder cannot be read: {error.strerror}")
    return found or lacks("the folder has no YAML file (*.yaml, *.yml)")


def _read(file: Path, tell: Tell) -> list[Node] | None:
    try:
        return compose(_text(file), file, tell)
    except Stop as stop:
        tell(stop.problem)
    return None


def _text(file: Path) -> str:
    """The file's text; raises Stop."""
    start = Mark(file, 1, 1)
    try:
        if not file.is_file():
            raise Stop(start, "is not a file" if file.exists() else "there is no such file")
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise Stop(start, f"cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise Stop(start, f"is larger than {LARGEST} bytes; spread it over several files")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        lines = content[: error.start].decode().split("\n")
        raise Stop(Mark(file, len(lines), len(lines[-1]) + 1), "is not UTF-8 text") from None


def _merge(whole: Node, part: Node, tell: Tell, levels: int | None = None) -> None:
    """Takes what `part` adds; tells what `whole` has already."""
    for name, node in part.entries.items():
        first = whole.entries.get(name)
        below = _SPREAD.get(name, 1) if levels is None else levels - 1
        if first is None:
            node.parent = whole
            whole.entries[name] = node
        elif below > 0:
            _merge_section(first, node, tell, below)
        elif (name, node.value) != ("version", first.value):
            tell(node.key.problem(f"{quote(name)} is already defined at {first.key}", node.path))


def _merge_section(first: Node, node: Node, tell: Tell, levels: int) -> None:
    """What is no mapping cannot be merged; of a first one the validation tells."""
    if not isinstance(node.value, dict):
        tell(node.problem(Complaint(f"is {kind(node.value)}, would be a mapping")))
    elif isinstance(first.value, dict):
        _merge(first, node, tell, levels)
