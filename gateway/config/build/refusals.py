"""Refusals in a service's own words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway import model
from gateway.config.blocks.refusals import Refusal, check_body
from gateway.config.build.context import Context, Where
from gateway.config.problems import Complaint

LARGEST = 65_536  # bytes of a file that holds a body


def refusals(blocks: Mapping[str, Refusal], where: Where, context: Context) -> dict[str, model.Refusal]:
    return {reason: _refusal(block, (*where, reason), context) for reason, block in blocks.items()}


def _refusal(block: Refusal, where: Where, context: Context) -> model.Refusal:
    parts: tuple[str, ...] | None = None
    if block.file is not None:
        path = context.file(block.file, (*where, "file"))
        try:
            parts = check_body(_content(path), block.type)
        except Complaint as complaint:
            context.complain((*where, "file"), complaint)
    elif block.body is not None:
        parts = check_body(block.body, block.type)
    return model.Refusal(block.status, block.type, parts)


def _content(path: Path) -> str:
    """Raises Complaint."""
    try:
        if not path.is_file():
            raise Complaint("cannot be read: there is no such file", shown=path.name)
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise Complaint(f"is larger than {LARGEST} bytes", shown=path.name)
        return content.decode()
    except OSError as error:
        raise Complaint(f"cannot be read: {error.strerror}", shown=path.name) from None
    except UnicodeDecodeError:
        raise Complaint("is not UTF-8 text", shown=path.name) from None
