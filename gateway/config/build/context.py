"""What every part of the build needs: which names exist, where values are written, and whom to tell."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from gateway.config.certificates import CertificateFiles
from gateway.config.problems import Complaint, Problem, instead, quote, repeated
from gateway.config.source.tree import Node
from gateway.model import HITS

NOUNS = {
    "provider": ("identity",),
    "channel": ("alerts", "channels"),
    "service": ("services",),
    "plan": ("plans",),
    "account": ("accounts",),
    "application": ("applications",),
}

Where = tuple[str | int, ...]


class Context:
    """The names are those of the whole tree, so make it before anything is cut out: what is faulty is still defined."""

    def __init__(self, root: Node, problems: list[Problem]) -> None:
        self._root = root
        self._problems = problems
        self._names = {noun: root.names(*section) for noun, section in NOUNS.items()}
        self._metrics = {name: root.names("services", name, "metrics") | {HITS} for name in self._names["service"]}
        self.certificates = CertificateFiles()

    def complain(self, where: Where, complaint: Complaint) -> None:
        node = self._root.find((*where, *complaint.at))
        if not node.broken:
            self._problems.append(node.problem(complaint))

    def defines(self, noun: str, name: str) -> bool:
        return name in self._names[noun]

    def written(self, where: Where) -> str:
        """What the file says there, in quotes."""
        node = self._root.find(where)
        return quote(node.written or str(node.value))

    def path(self, where: Where) -> str:
        """How messages name a place."""
        return self._root.find(where).path

    def refer(self, noun: str, name: str, where: Where, *, on_key: bool = False) -> bool:
        """Whether something of this name is defined; complains where not."""
        known = self._names[noun]
        if name not in known:
            article = "an" if noun[0] == "a" else "a"
            text = f"is not {article} {noun}{instead(name, known)}"
            self.complain(where, Complaint(text, shown=name, on_key=on_key))
        return name in known

    def refer_kind(self, kind: str, name: str, where: Where, *, on_key: bool = False) -> None:
        """A provider of this name is defined, and of this kind (one of the keys below it)."""
        if not self.refer("provider", name, where, on_key=on_key):
            return
        kinds = self._root.names("identity", name)
        if kinds and kind not in kinds:
            text = f"is not of kind {kind}, but {' '.join(sorted(kinds))}"
            self.complain(where, Complaint(text, shown=name, on_key=on_key))

    def refer_each(self, noun: str, names: list[str], where: Where) -> None:
        """Each of a list is defined, and named once."""
        for position, name in enumerate(names):
            self.refer(noun, name, (*where, position))
        for position in repeated(names):
            self.complain((*where, position), Complaint("is named twice", shown=names[position]))

    def metrics(self, *services: str) -> frozenset[str] | None:
        """The metrics that any of these services has; None where one of them is not defined."""
        if not self._names["service"].issuperset(services):
            return None
        return frozenset().union(*(self._metrics[service] for service in services))

    def faulty(self, *section: str) -> bool:
        """Whether something in this section was complained of, and may be cut out."""
        path = ".".join(section)
        return any(
            problem.path == path or problem.path.startswith((f"{path}.", f"{path}[")) for problem in self._problems
        )

    def file(self, text: str, where: Where) -> Path:
        """The absolute path of a file that is named relative to the file that names it."""
        return Path(os.path.normpath((self._root.find(where).file.parent / text).absolute()))

    def checked_file(self, text: str | None, where: Where, check: Callable[[Path], object]) -> Path | None:
        """The same, after a check that may complain."""
        if text is None:
            return None
        path = self.file(text, where)
        try:
            check(path)
        except Complaint as complaint:
            self.complain(where, complaint)
        return path
