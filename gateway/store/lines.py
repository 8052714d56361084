"""Calls about single keys: each goes to the server that has the key, over one of a few connections, in bounded time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from redis.exceptions import RedisError, ResponseError

from gateway.model import Store
from gateway.store import StoreAway, StoreError
from gateway.store.connection import PATIENCE
from gateway.store.node import Node, Topology
from gateway.store.pipe import Command, Link
from gateway.store.refusals import explain
from gateway.store.script import Script

T = TypeVar("T")

MOST = 8  # connections to a server; who comes when all are used waits for one
PAUSE = 0.02  # seconds between attempts, while there is time
REST = 0.25  # seconds between attempts at a server that did not answer; who comes meanwhile does not wait for it

OF_THIS_CALL = ("FULL", "WRONGTYPE", "CORRUPT")  # errors that say nothing about the store
NOT_DONE = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "LOADING", "MASTERDOWN", "EPOCH")


class LostError(Exception):
    """It was asked, and may have been done or not, or may be forgotten."""


class Line(NamedTuple):
    """An open connection to a node; `run` is the run id of the server at its other end."""

    node: Node
    link: Link
    run: str
    replicas: int
    patience: float

    async def ask(self, *commands: Command) -> list[Any]:
        """An answer for each; raises the first ResponseError, or LostError."""
        return _good(await self._await(self.link.exchange(commands, self.patience)))

    async def call(self, script: Script, call: Command) -> Any:
        """A script's answer."""
        return _good(await self._await(script.run(self.link, [call], self.patience)))[0]

    async def write(self, *commands: Command) -> list[Any]:
        """Like `ask`, and `store.wait` replicas have it; raises LostError where too few do."""
        return self._replicated(await self.ask(*commands, *self._after()))

    async def write_by(self, script: Script, call: Command) -> Any:
        """The same by a script."""
        answers = _good(await self._await(script.run(self.link, [call], self.patience, *self._after())))
        return self._replicated(answers)[0]

    def _after(self) -> tuple[Command, ...]:
        return (("WAIT", self.replicas, max(1, int(self.patience * 500))),) if self.replicas else ()

    def _replicated(self, answers: list[Any]) -> list[Any]:
        if self.replicas and answers.pop() < self.replicas:
            raise LostError(f"fewer than {self.replicas} replicas of {self.node.name} have what was written")
        return answers

    async def _await(self, answers: Awaitable[list[Any]]) -> list[Any]:
        try:
            return await answers
        except (RedisError, OSError) as error:
            raise LostError from error


class RestingError(StoreAway):
    """It is not asked at all."""


class Lines:
    """To the servers of a store. `patience`: seconds for a call, with all its attempts."""

    def __init__(self, topology: Topology, store: Store, patience: float = PATIENCE) -> None:
        self._topology = topology
        self._store = store
        self._patience = patience
        self._idle: dict[Node, list[Link]] = defaultdict(list)
        self._turns: dict[Node, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(MOST))
        self._resting: dict[Node, float] = {}  # those that did not answer, and until when nobody waits for them

    async def at(self, tag: str, work: Callable[[Line], Awaitable[T]], *, again: bool = True) -> T:
        """What `work` gives at the node that has the slot of `tag`; done anew where it surely was not done, and with
        `again` also where it may have been. Raises StoreError; after a StoreAway it may have been done or not.
        """
        error: Exception | None = None
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    try:
                        return await self._once(tag, work)
                    except (LostError, StoreError, RedisError, OSError) as failed:
                        error = error if isinstance(failed, RestingError) and error else failed
                        if not _may_repeat(failed, again):
                            break
                    await asyncio.sleep(PAUSE)
                    await self._topology.refresh()
        except TimeoutError as late:
            error = error or late
        if isinstance(error, ResponseError) and _says(error, OF_THIS_CALL):
            raise StoreError(f"the store refuses: {error}") from error
        if not isinstance(error, ResponseError | RestingError):
            self._rest(tag)
        raise explain(error, self._store) from error

    async def nodes(self) -> Sequence[Node]:
        """All of them, as they are now. Raises StoreError."""
        if not await self._topology.refresh():
            raise explain(self._topology.failure, self._store)
        return self._topology.nodes

    async def close(self) -> None:
        """Close all connections that nobody uses."""
        for links in self._idle.values():
            for link in links:
                await link.close()
        self._idle.clear()

    async def _once(self, tag: str, work: Callable[[Line], Awaitable[T]]) -> T:
        node = self._topology.node(tag)
        self._spare(node)
        async with self._turns[node]:
            idle = self._idle[node]
            link = idle.pop() if idle else node.link()
            try:
                run = await link.open(self._patience)
                done = await work(Line(node, link, run, self._store.replicas, self._patience))
            except BaseException:
                await link.close()
                raise
            idle.append(link)
        self._resting.pop(node, None)
        return done

    def _spare(self, node: Node) -> None:
        """One at a time looks whether a server that did not answer is back."""
        now = asyncio.get_running_loop().time()
        until = self._resting.get(node)
        if until is not None and now < until:
            raise RestingError(f"{node.name} did not answer a moment ago")
        if until is not None:
            self._resting[node] = now + self._patience

    def _rest(self, tag: str) -> None:
        with suppress(StoreAway):
            self._resting[self._topology.node(tag)] = asyncio.get_running_loop().time() + REST


def _good(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, ResponseError):
            raise answer
    return answers


def _may_repeat(error: Exception, again: bool) -> bool:
    if isinstance(error, ResponseError):
        return _says(error, NOT_DONE)
    if isinstance(error, LostError):
        return again
    return not isinstance(error, RestingError) and (isinstance(error, StoreAway) or not isinstance(error, StoreError))


def _says(error: ResponseError, words: tuple[str, ...]) -> bool:
    return (error.status_code or str(error)).startswith(words)
