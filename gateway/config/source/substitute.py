"""`${NAME}`, `${NAME:-default}` and `file:PATH` in values. What came from elsewhere never appears in a message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from gateway.config.problems import Complaint
from gateway.config.source.compose import CONTROL, Tell, has_control
from gateway.config.source.tree import Node

FILE = "file:"
LARGEST = 65_536  # bytes of a file that holds one value

_reference = re.compile(r"\$(\$\{)|\$\{([^}]*)(\}?)")
_name = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch


def substitute(root: Node, environ: Mapping[str, str], tell: Tell) -> None:
    """Replaces, in place, the text of every value below `root`; `$${` stands for a plain `${`.

    A variable that is set but empty takes the default, as in a shell; one without default must be set.
    """
    for node in root.texts():
        text = str(node.value)
        if not node.broken and ("${" in text or text.startswith(FILE)):
            node.written = text
            try:
                node.value = _resolved(text, environ, node.file.parent)
            except Complaint as complaint:
                node.broken = True
                tell(node.problem(complaint))


def _resolved(text: str, environ: Mapping[str, str], folder: Path) -> str:
    text = _reference.sub(lambda found: _looked_up(found, environ), text)
    if text.startswith(FILE):
        text = _content(folder / text.removeprefix(FILE))
    if has_control(text):
        raise Complaint(CONTROL, shown=text)
    return text


def _looked_up(found: re.Match[str], environ: Mapping[str, str]) -> str:
    escaped, reference, end = found.groups()
    if escaped:
        return str(escaped)
    name, has_default, default = reference.partition(":-")
    if not end or not _name(name):
        raise Complaint("is not a reference to a variable (${NAME} or ${NAME:-default}; $${ is a plain ${)", shown=name)
    if has_default:
        return environ.get(name) or str(default)
    if name not in environ:
        raise Complaint(f"is not set; set the variable {name}, or write ${{{name}:-default}}", shown=name)
    return environ[name]


def _content(path: Path) -> str:
    """The text of a file, without its last line break; raises Complaint."""
    try:
        if not path.is_file():
            raise Complaint("cannot be read: there is no such file", shown=FILE)
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise Complaint(f"names a file of more than {LARGEST} bytes", shown=FILE)
        return content.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise Complaint(f"cannot be read: {error.strerror}", shown=FILE) from None
    except UnicodeDecodeError:
        raise Complaint("names a file that is not UTF-8 text", shown=FILE) from None
