"""Connections on paper: they are slow, lose what they carry, carry it late, or are cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from gateway.store.slots import slot

from .loop import CURRENT, PaperLoop, Process
from .server import PaperServer
from .session import Command, Session


@dataclass(frozen=True)
class Weather:
    """What may happen on the way: probabilities, and seconds."""

    latency: tuple[float, float] = (0.0002, 0.001)
    lost_requests: float = 0.0  # never executed, never answered
    lost_answers: float = 0.0  # executed, never answered
    resets: float = 0.0  # the connection breaks, before or after the call was executed
    late: float = 0.0  # it takes up to `delay` seconds, and arrives even if who sent it is gone
    delay: float = 3.0


CALM = Weather()


class Network:
    """Between processes and servers."""

    def __init__(self, loop: PaperLoop, random: Random) -> None:
        self.loop = loop
        self.random = random
        self.weather = CALM
        self._cuts: set[tuple[str, str]] = set()
        self._limbo: dict[tuple[str, str], list[Callable[[], None]]] = {}

    def cut(self, process: str, server: str) -> None:
        """Nothing passes until `mend`."""
        self._cuts.add((process, server))

    def mend(self, process: str, server: str) -> None:
        """What was sent meanwhile is lost, or arrives now: as TCP repeats what was not acknowledged."""
        self._cuts.discard((process, server))
        for deliver in self._limbo.pop((process, server), []):
            if self.random.random() < 0.5:
                self.loop.outside(self._latency(), deliver)

    def is_cut(self, process: str, server: str) -> bool:
        return (process, server) in self._cuts

    def carry(self, process: str, server: str, lost: float, deliver: Callable[[], None]) -> None:
        """Deliver at some time, or never."""
        if (process, server) in self._cuts:
            self._limbo.setdefault((process, server), []).append(deliver)
        elif not lost or self.random.random() >= lost:
            late = self.weather.late and self.random.random() < self.weather.late
            delay = self.random.uniform(0, self.weather.delay) if late else self._latency()
            self.loop.outside(delay, deliver)

    def _latency(self) -> float:
        return self.random.uniform(*self.weather.latency)


class PaperLink:
    """One process's connection to the server at a node; a `gateway.store.pipe.Link`."""

    def __init__(self, network: Network, node: PaperNode) -> None:
        self._network = network
        self._node = node
        self._process: Process = CURRENT.get()
        self._open: Opened | None = None
        self._pending: asyncio.Future[Any] | None = None

    async def open(self, patience: float) -> str:
        """Connect if needed; gives the run id of the server, a primary. Raises OSError, TimeoutError among them."""
        if self._open is None:
            await self._connect(self._node.server, patience)
        assert self._open is not None
        return self._open.run

    async def exchange(self, commands: Sequence[Command], patience: float) -> list[Any]:
        """An answer for each: a value, or the ResponseError that is the answer. Raises OSError where there is none:
        what was sent may have been done or not, or be done later."""
        if self._open is None:
            raise ConnectionError("the connection is closed")
        server, session, weather = self._open.server, self._open.session, self._network.weather
        answer = self._begin()

        def answered(answers: list[Any] | Exception) -> None:
            self._carry(server, lambda: _settle(answer, answers), weather.lost_answers)

        if weather.resets and self._network.random.random() < weather.resets:
            reset = ConnectionResetError("the connection was reset")
            self._carry(server, lambda: _settle(answer, reset))
            if self._network.random.random() < 0.5:
                self._carry(server, lambda: server.receive(session, commands, lambda _: None))
        else:
            self._carry(server, lambda: server.receive(session, commands, answered), weather.lost_requests)
        answers = list(await self._patiently(answer, patience))
        for touch in session.unheard:
            touch.heard = True
        session.unheard.clear()
        return answers

    async def close(self) -> None:
        """Close the connection; `open` makes another."""
        if self._open is not None:
            self._open.server.broken.remove(self._break)
        self._open = None
        if self._pending is not None:
            _settle(self._pending, ConnectionError("the connection was closed"))

    async def _connect(self, server: PaperServer, patience: float) -> None:
        answer = self._begin()

        def accepted(session: Session | Exception, run: str, readonly: bool) -> None:
            if readonly:
                session = ConnectionError("the server is a replica, and takes no writes")
            outcome = session if isinstance(session, Exception) else Opened(server, session, run)
            self._carry(server, lambda: _settle(answer, outcome))

        self._carry(server, lambda: server.accept(self._process.name, accepted))
        self._open = await self._patiently(answer, patience)
        server.broken.append(self._break)

    def _carry(self, server: PaperServer, deliver: Callable[[], None], lost: float = 0.0) -> None:
        self._network.carry(self._process.name, server.name, lost, deliver)

    def _begin(self) -> asyncio.Future[Any]:
        if self._pending is not None:
            raise RuntimeError("two exchanges at a time over one connection")
        self._pending = asyncio.get_running_loop().create_future()
        return self._pending

    async def _patiently(self, answer: asyncio.Future[Any], patience: float) -> Any:
        try:
            async with asyncio.timeout(patience):
                return await answer
        except BaseException:
            self._pending = None
            await self.close()
            raise
        finally:
            self._pending = None

    def _break(self) -> None:
        """The server broke the connection; the process hears of it a little later, if at all."""
        opened, pending = self._open, self._pending
        if opened is not None:
            self._carry(opened.server, lambda: self._hear(opened, pending))

    def _hear(self, opened: Opened, pending: asyncio.Future[Any] | None) -> None:
        if self._open is opened:
            opened.server.broken.remove(self._break)
            self._open = None
        if pending is not None:
            _settle(pending, ConnectionResetError("the server closed the connection"))


@dataclass(frozen=True)
class Opened:
    """A connection: to which server, and its run id."""

    server: PaperServer
    session: Session
    run: str


@dataclass(eq=False)
class PaperNode:
    """A place in the topology, and the server that is there now."""

    name: str
    tag: str
    server: PaperServer
    network: Network

    def link(self) -> PaperLink:
        return PaperLink(self.network, self)


class PaperTopology:
    """The nodes of the store; a `gateway.store.node.Topology`, as far as the ledger needs it."""

    def __init__(self, nodes: Sequence[PaperNode]) -> None:
        self.nodes = nodes

    def node(self, tag: str) -> PaperNode:
        return self.nodes[slot(tag) * len(self.nodes) // 16384]

    async def refresh(self) -> bool:
        return True

    async def close(self) -> None:
        """Links are their owners' to close."""


def _settle(answer: asyncio.Future[Any], outcome: Any) -> None:
    """Tell who waits, if anybody still does."""
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
        answer.exception()  # heard, even if the process is dead
    else:
        answer.set_result(outcome)
