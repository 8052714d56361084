"""The compiled build: which modules are compiled, what of them the compiler gets wrong, and that it is what runs."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import build

ROOT = Path(__file__).parents[1]
HOOK = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
MODULES: list[str] = HOOK["custom"]["modules"]


class Class:
    """What a class statement says: its bases by name, and the attributes that it gives a type."""

    def __init__(self, node: ast.ClassDef) -> None:
        self.bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
        self.typed = {name for part in ast.walk(node) if isinstance(part, ast.AnnAssign) for name in _attribute(part)}


def _attribute(part: ast.AnnAssign) -> Iterator[str]:
    match part.target:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            yield name
        case ast.Name(id=name):
            yield name


def test_no_attribute_is_given_a_type_both_in_a_class_and_in_one_that_extends_it() -> None:
    """mypyc would then show it to the garbage collector twice, which counts references, and frees what is in use."""
    nodes = [node for path in MODULES for node in ast.walk(ast.parse((ROOT / path).read_text()))]
    classes = {node.name: Class(node) for node in nodes if isinstance(node, ast.ClassDef)}

    def inherited(name: str) -> set[str]:
        bases = [base for base in classes[name].bases if base in classes]
        return {attribute for base in bases for attribute in classes[base].typed | inherited(base)}

    twice = {name: found.typed & inherited(name) for name, found in classes.items()}
    assert {name: attributes for name, attributes in twice.items() if attributes} == {}


@pytest.mark.skipif(build() != "compiled", reason="the gateway is not compiled: scripts/test --compiled")
def test_those_that_are_listed_are_compiled() -> None:
    modules = [importlib.import_module(path.removesuffix(".py").replace("/", ".")) for path in MODULES]
    assert [module.__name__ for module in modules if not str(module.__file__).endswith(".so")] == []


def test_programs_that_are_started_are_of_the_same_build() -> None:
    command = [sys.executable, "-m", "gateway", "version", "-o", "json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout)["build"] == build()


def test_nothing_compiled_lies_in_the_checkout() -> None:
    """It would run in place of the sources, whatever they say by then."""
    assert list((ROOT / "gateway").rglob("*.so")) == []
