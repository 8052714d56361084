"""Lua scripts in the store: sent by their digest, loaded where the store does not know them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any, Protocol

from redis.exceptions import NoScriptError

Command = tuple[str | bytes | int, ...]


class Exchange(Protocol):
    """A connection."""

    async def exchange(self, commands: Sequence[Command], patience: float) -> list[Any]:
        """Send all, then read an answer for each: a value, or the ResponseError that is the answer."""


class Script:
    """A script that lies beside the code of a room, such as `consume.lua` in `gateway.quota`."""

    def __init__(self, package: str, name: str) -> None:
        self.text = files(package).joinpath(name).read_bytes()
        self.digest = sha1(self.text, usedforsecurity=False).hexdigest()  # as the store names scripts

    async def run(self, link: Exchange, calls: Sequence[Command], patience: float, *after: Command) -> list[Any]:
        """Run it once for each of `calls` (number of keys, keys, arguments), then the commands `after`.

        Gives an answer for each. What the store did not know the script for is sent once more.
        """
        return await run_all(link, [(self, call) for call in calls], patience, *after)


async def run_all(
    link: Exchange, calls: Sequence[tuple[Script, Command]], patience: float, *after: Command
) -> list[Any]:
    """As `Script.run`, for calls of several scripts in one round trip."""
    commands: list[Command] = [("EVALSHA", script.digest, *call) for script, call in calls]
    answers = await link.exchange([*commands, *after], patience)
    unknown = [place for place, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if unknown:
        load = [("SCRIPT", "LOAD", script.text) for script in {calls[place][0]: None for place in unknown}]
        again = [commands[place] for place in unknown]
        loaded = await link.exchange([*load, *again, *after], patience)
        for place, answer in zip(unknown, loaded[len(load) :], strict=False):
            answers[place] = answer
        answers[len(calls) :] = loaded[len(loaded) - len(after) :] if after else []
    return answers
