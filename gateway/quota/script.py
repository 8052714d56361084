"""The store's part of the ledger, consume.lua: sent by its digest, loaded where the store does not know it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from gateway.store.pipe import Command, Pipe

TEXT = files("gateway.quota").joinpath("consume.lua").read_bytes()
DIGEST = sha1(TEXT, usedforsecurity=False).hexdigest()  # as the store names scripts


async def run(pipe: Pipe, calls: Sequence[Command], patience: float) -> list[Any]:
    """Run the script once for each of `calls` (number of keys, keys, arguments); see Pipe.exchange."""
    answers = await pipe.exchange([("EVALSHA", DIGEST, *call) for call in calls], patience)
    unknown = [place for place, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if unknown:
        again: list[Command] = [("EVALSHA", DIGEST, *calls[place]) for place in unknown]
        loaded = await pipe.exchange([("SCRIPT", "LOAD", TEXT), *again], patience)
        for place, answer in zip(unknown, loaded[1:], strict=True):
            answers[place] = answer
    return answers
