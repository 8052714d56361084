"""The codes of refusals: the table in the code, the one in the documents, and what is raised are the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from gateway.sso.saml import refusals, xml

ROOT = Path(__file__).parents[3]


def rows(text: str) -> set[str]:
    """The codes in the first column of a table."""
    lines = (line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    return {code for line in lines for code in re.findall(r"`([a-z0-9_]+)`", line)}


def raised() -> Iterator[str]:
    for path in Path(refusals.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="SamlRefused"), args=[ast.Constant(value=str() as code), *_]):
                    yield code
    yield from (code for _, code, _ in xml._REFUSED)


def test_every_code_is_in_the_tables() -> None:
    told = rows(refusals.__doc__ or "")
    assert set(raised()) == told
    codes = (ROOT / "docs" / "saml.md").read_text().partition("### Codes")[2].partition("## ")[0]
    assert rows(codes) == told
