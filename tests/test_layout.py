"""Who may import whom, what may happen on import, and how large a file and a function may be."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gateway"
FILES = sorted(PACKAGE.rglob("*.py"))

CORE = {"model", "destinations", "errors", "http"}
LIBRARY = CORE | {
    "config",
    "gate",
    "routing",
    "identity",
    "policies",
    "proxy",
    "quota",
    "sso",
    "store",
    "alerts",
    "telemetry",
}
ROOMS = {  # a room (file or folder of the package) and the other rooms that it may import
    "__init__": set(),
    "destinations": set(),
    "model": {"destinations"},
    "errors": {"model"},
    "http": {"model", "errors"},
    "crls": set(),
    "gate": {"model", "errors"},
    "config": CORE | {"routing", "crls", "sso"},  # what a pattern is, a list of certificates, SAML metadata
    "routing": CORE,
    "identity": CORE | {"crls"},
    "policies": CORE,
    "sso": CORE | {"identity", "store"},
    "proxy": CORE | {"gate"},  # its server asks the gate; nothing comes back
    "telemetry": CORE,
    "store": CORE,
    "quota": CORE | {"store"},
    "alerts": CORE | {"store"},
    "admin": LIBRARY | {"process"},
    "begin": set(),
    "control": {"model"},
    "workers": {"control", "model"},
    "pages": LIBRARY,
    "starting": LIBRARY | {"control"},
    "process": LIBRARY | {"control", "outward", "workers"},
    "outward": LIBRARY,
    "sign_on": LIBRARY,
    "site": LIBRARY | {"outward", "pages", "sign_on"},
    "staging": LIBRARY | {"control", "site"},
    "app": LIBRARY | {"starting", "control", "site", "staging"},
    "desks": LIBRARY | {"admin", "control", "process", "workers"},
    "supervisor": LIBRARY | {"control", "desks", "process", "workers"},
    "devkit": LIBRARY,
    "diff": LIBRARY | {"process"},
    "clients": LIBRARY,
    "explain": LIBRARY | {"site"},
    "doctor": LIBRARY | {"crls"},
    "cli": LIBRARY | {"clients", "control", "devkit", "diff", "doctor", "explain"},
    "__main__": {"cli"},
}
PLAIN = {  # rooms that need the standard library alone, and a parser
    "__init__": set(),
    "destinations": set(),
    "model": set(),
    "errors": set(),
    "gate": set(),
    "http": {"httptools"},
}


def place(path: Path) -> tuple[str, ...]:
    """The path as a module's name in the package: `("http", "head")`."""
    return path.relative_to(PACKAGE).with_suffix("").parts


def modules(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full name of whatever a file imports, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ("gateway", *place(path))[: -node.level] if node.level else ()
            base = ".".join((*above, node.module) if node.module else above)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def foreign(path: Path, tree: ast.Module) -> Iterator[str]:
    """Imports that the tables above do not allow."""
    room = place(path)[0]
    for line, module in modules(path, tree):
        top, _, rest = module.partition(".")
        other = rest.partition(".")[0]
        if top == "gateway":
            if other not in ROOMS[room] | {room, "__version__", "build"}:
                yield f"{line}: {room} imports {other}"
        elif room in PLAIN and top not in sys.stdlib_module_names | PLAIN[room]:
            yield f"{line}: {room} imports {top}"


def effects(tree: ast.Module) -> Iterator[str]:
    """Statements that do something when the module is imported, other than name things."""
    naming = (
        ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef
    )  # fmt: skip
    for position, node in enumerate(tree.body):
        docstring = position == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        guarded = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
        if not (isinstance(node, naming) or docstring or guarded):
            yield f"{node.lineno}: {ast.unparse(node).splitlines()[0]}"


def long_functions(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > 50:
                yield f"{node.lineno}: {node.name}() has {length} lines"


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(place(path)))
def test_every_file_keeps_to_the_layout(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert place(path)[0] in ROOMS, "a new room needs a line in the table"
    assert [*foreign(path, tree)] == []
    assert [*effects(tree)] == []
    assert [*long_functions(tree)] == []
    assert text.count("\n") <= 300


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from gateway.quota.ledger import Ledger", "1: identity imports quota"),
        ("def f():\n    import gateway.app", "2: identity imports app"),
        ("from gateway import app", "1: identity imports app"),
        ("from ..proxy import pool", "1: identity imports proxy"),
    ],
)
def test_a_forbidden_import_is_found_however_it_is_written(source: str, found: str) -> None:
    assert [*foreign(PACKAGE / "identity" / "jwt.py", ast.parse(source))] == [found]


def test_a_room_of_the_core_takes_no_library() -> None:
    tree = ast.parse("import asyncio\nimport httptools\nimport yaml")
    assert [*foreign(PACKAGE / "http" / "head.py", tree)] == ["3: http imports yaml"]


def test_a_call_on_import_is_found() -> None:
    tree = ast.parse('"""Doc."""\nimport uvloop\nuvloop.install()\nif __name__ == "__main__":\n    main()')
    assert [*effects(tree)] == ["3: uvloop.install()"]
