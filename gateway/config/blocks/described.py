"""What the text below a field of a block says of it: for messages and the JSON Schema, read when they need it."""

from __future__ import annotations

from functools import cache


def descriptions(block: type) -> dict[str, str]:
    """By the fields' names in Python, those of its bases too. Empty where the source is not at hand."""
    found: dict[str, str] = {}
    for one in reversed(block.__mro__[:-1]):
        found |= _own(one)
    return found


@cache
def _own(block: type) -> dict[str, str]:
    import ast  # here, as pydantic's own use of docstrings reads every block's source at each start: 0.1 s
    import inspect

    if not block.__module__.startswith("gateway."):
        return {}
    try:
        (tree,) = ast.parse(inspect.getsource(block)).body
    except OSError:
        return {}
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(said))):
                found[name] = inspect.cleandoc(said)
    return found
