"""A tree → typed blocks. What does not fit the schema is told and cut out, so that the rest is checked all the same."""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.config.blocks import File
from gateway.config.blocks.base import Block
from gateway.config.blocks.described import descriptions
from gateway.config.problems import Complaint, instead, kind, similar
from gateway.config.source.compose import Tell
from gateway.config.source.tree import Node, cut

Path = tuple[str | int, ...]

KEY = "[key]"  # ends the place of an error in a mapping's key, for pydantic
_SHAPES = {
    "list_type": "is {}, would be a list",
    "dict_type": "is {}, would be a mapping",
    "too_short": "is an empty {1}, would name at least one",
}


def validate(root: Node, tell: Tell) -> File:
    """The blocks of a tree. What does not fit goes to `tell` and out of `root`."""
    heard = tell
    while True:
        try:
            return File.model_validate(root.plain())
        except ValidationError as error:
            _prune(root, error.errors(include_url=False), heard)
            heard = _ignore  # what fails now, fails for want of what was cut


def _ignore(_problem: object) -> None:
    pass


def _prune(root: Node, errors: list[ErrorDetails], tell: Tell) -> None:
    found = [(_locate(root, error), error) for error in errors]
    unknown: dict[Path, list[str]] = {}
    for error in errors:
        if error["type"] == "extra_forbidden":
            unknown.setdefault(error["loc"][:-1], []).append(str(error["loc"][-1]))
    for node, error in found:
        if not node.broken and not _explained(error, unknown):
            tell(node.problem(_complaint(error)))
    cut([node for node, _ in found])


def _explained(error: ErrorDetails, unknown: dict[Path, list[str]]) -> bool:
    """Whether a key is missing because another is in its place: misspelt, or one that is not supported."""
    beside = unknown.get(error["loc"][:-1], []) if error["type"] == "missing" else []
    later = _block_at(error["loc"][:-1]).later if beside else ()
    return any(name in later or similar(name, (str(error["loc"][-1]),)) for name in beside)


def _locate(root: Node, error: ErrorDetails) -> Node:
    """The value that is meant, or what should hold it."""
    return root.find((*_path(error), *_complaint(error).at))


def _path(error: ErrorDetails) -> Path:
    location = error["loc"]
    return location[:-1] if location[-1:] == (KEY,) else location


def _complaint(error: ErrorDetails) -> Complaint:
    """An error of pydantic's in this project's words."""
    reason = error.get("ctx", {}).get("error")
    last = str(error["loc"][-1]) if error["loc"] else ""
    if isinstance(reason, Complaint):
        return reason.below(on_key=last == KEY)
    if error["type"] == "missing":
        return _missing(last, _block_at(error["loc"][:-1]))
    if error["type"] == "extra_forbidden":
        return _unknown(last, _block_at(error["loc"][:-1]))
    if error["type"] == "too_long":
        return Complaint("has {actual_length} items, would have at most {max_length}".format(**error["ctx"]))
    found = kind(error["input"])
    return Complaint(_SHAPES.get(error["type"], "is {}, which cannot be read").format(found, found.partition(" ")[2]))


def _missing(name: str, block: type[Block]) -> Complaint:
    described = descriptions(block).get(name, "it is required")
    first = described.partition(". ")[0].rstrip(".")
    first = first if first[:2].isupper() else first[:1].lower() + first[1:]
    return Complaint(f"is missing: {first}", shown=name, on_key=True)


def _unknown(name: str, block: type[Block]) -> Complaint:
    if name in block.later:
        return Complaint(f"is not supported yet ({block.later[name]})", shown=name, on_key=True)
    return Complaint(f"is not known here{instead(name, block.keys())}", shown=name, on_key=True)


def _block_at(path: Path) -> type[Block]:
    """The class of the block at a path."""
    found: Any = File
    for part in path:
        found = _inside(found, part)
    found = _bare(found)
    return found if isinstance(found, type) and issubclass(found, Block) else Block


def _inside(annotation: Any, part: str | int) -> Any:
    """What a field, a mapping or a list holds."""
    annotation = _bare(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Block):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field is not None else None
    if hasattr(annotation, "_fields"):
        return get_type_hints(annotation).get(str(part))
    return get_args(annotation)[-1] if get_args(annotation) else None


def _bare(annotation: Any) -> Any:
    """Without `Annotated` and `| None`."""
    while get_origin(annotation) in (Annotated, Union, types.UnionType):
        annotation = get_args(annotation)[0]
    return annotation
