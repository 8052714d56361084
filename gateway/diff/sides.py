"""What is compared, made comparable: files by what is in them; where a running gateway tells its plans, no secrets."""

from __future__ import annotations

from gateway.model import Config
from gateway.process.declared import declared, portable, undeclared

__all__ = ["comparable", "undeclared"]  # the latter: what a running gateway tells of its plans


def comparable(before: Config, after: Config, *, told: bool) -> tuple[Config, Config]:
    """`told`: one of them is what a running gateway has told."""
    if not told:
        return portable(before), portable(after)
    return undeclared(declared(before)), undeclared(declared(after))
