"""A server on paper: Redis's commands and scripts over a dict, with what can happen to a server.

Real Lua scripts run in it. Commands that it does not know fail loudly.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from random import Random
from typing import Any

from redis._parsers.base import BaseParser

from .commands import COMMANDS, FREEING, GROWING
from .keyspace import Keyspace, State
from .loop import PaperLoop
from .lua import OK, Failure, Lua
from .session import Command, Session, Touch, Waiter, encoded

Reply = Callable[[list[Any] | Exception], None]
Delta = dict[bytes, State | None]  # what one command changed

COUNTER = re.compile(rb"(\d+) (\d+) ")
COUNTERS = 7  # colons in the name of one; see gateway.store.keys
LAG = 0.001  # seconds from a server to its replica


@dataclass(eq=False)
class PaperServer:
    """One server. `wall` tells the true Unix time; its own clock is off by `ahead` seconds."""

    name: str
    loop: PaperLoop
    random: Random
    wall: Callable[[], float]
    ahead: float = 0.0
    full: bool = False  # refuses what needs memory
    readonly: bool = False  # a replica
    up: bool = True
    silent: bool = False  # while down, does not even refuse connections
    stopped: bool = False
    replicas: list[PaperServer] = field(default_factory=list)
    linked: bool = True  # to its primary
    recorded: bool = True  # keeps a journal; without one nothing survives, and nothing is replicated
    calls: Counter[bytes] = field(default_factory=Counter)  # by command, or by a script's digest
    touches: list[Touch] = field(default_factory=list)
    trace: list[tuple[bytes, ...]] | None = None  # what clients asked

    def __post_init__(self) -> None:
        self.life = 0
        self.broken: list[Callable[[], None]] = []  # whom to tell when connections break
        self._inbox: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._waiting: list[Waiter] = []
        self._applied: dict[str, int] = {}  # by replicas
        self._begin([])

    def _begin(self, journal: list[Delta]) -> None:
        self.life += 1
        self.run_id = f"{self.random.getrandbits(160):040x}"
        self.data = Keyspace()
        self.journal = journal
        self._scripts: dict[bytes, bytes] = {}
        self._lua = Lua(self._data)
        self._wrote = False
        self._time()
        for delta in journal:
            self._apply(delta)

    @property
    def clock(self) -> float:
        """Its own time, in Unix seconds."""
        return self.wall() + self.ahead

    # --- what happens to it ---------------------------------------------------------------------------

    def crash(self, *, silent: bool = False) -> None:
        """As kill -9 does; `silent`: the machine is gone with it, so that nobody hears that connections broke."""
        self.up, self.silent, self.stopped = False, silent, False
        self._inbox.clear()
        self._waiting.clear()
        if not silent:
            self.disconnect()

    def restart(self, keep: int | None = None) -> None:
        """Start with what is on the disk: the first `keep` writes (None: all)."""
        self.up = True
        self._applied.clear()
        self._begin(self.journal[:keep])
        for replica in self.replicas:
            replica.follow(self)

    def stop(self) -> None:
        """As SIGSTOP does: what arrives is kept, and answered after `go`."""
        self.stopped = True

    def go(self) -> None:
        self.stopped = False
        inbox, self._inbox = self._inbox, []
        for function, arguments in inbox:
            function(*arguments)

    def disconnect(self) -> None:
        """Break all connections."""
        self.life += 1
        for tell in list(self.broken):
            tell()

    def flush(self) -> None:
        """FLUSHALL."""
        self._perform(Session(self.life), (b"FLUSHALL",))

    def forget_scripts(self) -> None:
        """SCRIPT FLUSH."""
        self._scripts.clear()

    # --- replicas -------------------------------------------------------------------------------------

    def follow(self, primary: PaperServer) -> None:
        """Become a replica that has all of the primary's data now, and later ones with a lag."""
        self.readonly = True
        if self not in primary.replicas:
            primary.replicas.append(self)
        self.disconnect()
        self._begin([{key: primary.data.state(key) for key in primary.data.names()}])
        primary._acknowledge(self, len(primary.journal))

    def promote(self, primary: PaperServer) -> None:
        """Take over, with what has arrived; connections break."""
        primary.replicas.remove(self)
        self.linked, self.readonly = True, False
        self.disconnect()

    def relink(self, primary: PaperServer) -> None:
        """The link to the primary works again: catch up."""
        self.linked = True
        self._replicate(primary, len(primary.journal))

    def _replicate(self, primary: PaperServer, offset: int) -> None:
        applied = primary._applied.get(self.name, 0)
        if not self.linked or not self.readonly or self not in primary.replicas or offset <= applied:
            return
        for delta in primary.journal[applied:offset]:
            self._apply(delta)
            self.journal.append(delta)
        primary._applied[self.name] = offset
        self.loop.outside(LAG, primary._acknowledge, self, offset)

    def _acknowledge(self, replica: PaperServer, offset: int) -> None:
        self._applied[replica.name] = max(offset, self._applied.get(replica.name, 0))
        for waiter in list(self._waiting):
            if self._reached(waiter.offset) >= waiter.replicas:
                self._waiting.remove(waiter)
                self._done_waiting(waiter)

    def _reached(self, offset: int) -> int:
        """How many replicas have everything up to `offset`."""
        return sum(self._applied.get(replica.name, 0) >= offset for replica in self.replicas)

    def _done_waiting(self, waiter: Waiter) -> None:
        reply, waiter.reply = waiter.reply, None
        if reply is not None and self.up:
            reply(self._reached(waiter.offset))

    # --- connections ----------------------------------------------------------------------------------

    def accept(self, process: str, reply: Callable[[Session | Exception, str, bool], None]) -> None:
        """A new connection of a process: it, the run id, and whether this is a replica."""
        if not self.up:
            if not self.silent:
                reply(ConnectionRefusedError(f"{self.name} is down"), "", False)
        elif self.stopped:
            self._inbox.append((self.accept, (process, reply)))
        else:
            reply(Session(self.life, process), self.run_id, self.readonly)

    def receive(self, session: Session, commands: Sequence[Command], reply: Reply) -> None:
        """Commands of a connection, in order."""
        if not self.up and self.silent:
            return
        if not self.up or session.life != self.life:
            reply(ConnectionResetError(f"{self.name} was restarted"))
        elif self.stopped:
            self._inbox.append((self.receive, (session, commands, reply)))
        else:
            self._serve(session, [encoded(command) for command in commands], [], reply)

    def _serve(self, session: Session, commands: list[tuple[bytes, ...]], answers: list[Any], reply: Reply) -> None:
        """Carry out the commands that are left; a WAIT holds up those behind it, and no other connection."""
        while commands and commands[0][0] != b"WAIT":
            answers.append(self._perform(session, commands.pop(0)))
        if not commands:
            reply(answers)
            return
        wait = commands.pop(0)
        self._wait(session, wait, lambda count: self._serve(session, commands, [*answers, count], reply))

    def _wait(self, session: Session, command: tuple[bytes, ...], reply: Callable[[int], None]) -> None:
        waiter = Waiter(session.written, int(command[1]), reply)
        if self._reached(waiter.offset) >= waiter.replicas:
            self._done_waiting(waiter)
            return
        self._waiting.append(waiter)
        if int(command[2]):
            self.loop.outside(int(command[2]) / 1000, self._done_waiting, waiter)

    def _perform(self, session: Session, command: tuple[bytes, ...]) -> Any:
        """Carry out a command of a client; a refusal is an answer too."""
        self.calls[command[1] if command[0] == b"EVALSHA" else command[0]] += 1
        self._time()
        self._wrote = False
        before = self._outstanding(command)
        try:
            answer = self._own(command)
        except Failure as failure:
            answer = BaseParser.parse_error(str(failure))
        self._watch(session, before, self._outstanding(command))
        if self.data.touched:
            self._commit()
            session.written = len(self.journal)  # as Valkey 9: a command that changes nothing has nothing to wait for
        if self.trace is not None:
            self.trace.append(command)
        return bytes(answer) if isinstance(answer, bytes) else answer

    def _outstanding(self, command: tuple[bytes, ...]) -> dict[bytes, int]:
        """Units spent and held of the counters that a script is called about; see consume.lua for what is in a key."""
        if not self.recorded or command[0] != b"EVALSHA":
            return {}
        found: dict[bytes, int] = {}
        for key in command[3 : 3 + int(command[2])]:
            value = self.data.find(key) or b"0 0 "
            if key.count(b":") == COUNTERS and isinstance(value, bytes) and (units := COUNTER.match(value)):
                found[key] = int(units[1]) + int(units[2])
        return found

    def _watch(self, session: Session, before: dict[bytes, int], after: dict[bytes, int]) -> None:
        for key in [key for key in before if key in after]:
            touch = Touch(session.process, key.decode(), self.loop.time(), max(0, after[key] - before[key]))
            self.touches.append(touch)
            session.unheard.append(touch)

    def _own(self, command: tuple[bytes, ...]) -> Any:
        """Commands about the server; others are about its data."""
        match [command[0].upper(), *command[1:]]:
            case [b"EVALSHA", digest, count, *rest]:
                return self._evaluate(self._scripts.get(digest), int(count), rest)
            case [b"EVAL", text, count, *rest]:
                return self._evaluate(text, int(count), rest)
            case [b"SCRIPT", b"LOAD", text]:
                digest = sha1(text, usedforsecurity=False).hexdigest().encode()
                self._scripts[digest] = text
                return digest
            case [b"FLUSHALL", *_]:
                for key in self.data.names():
                    self.data.drop(key)
                return OK
        return self._data(command)

    def _evaluate(self, text: bytes | None, keys: int, rest: list[bytes]) -> Any:
        if text is None:
            raise Failure("NOSCRIPT No matching script. Please use EVAL.")
        return self._lua.run(text, rest[:keys], rest[keys:])

    def _data(self, command: tuple[bytes, ...]) -> Any:
        name = command[0].upper().decode()
        if name == "TIME":
            micro = round(self.clock * 1_000_000)
            return [b"%d" % (micro // 1_000_000), b"%d" % (micro % 1_000_000)]
        if name in GROWING or name in FREEING:
            self._require_writable(name)
            self._wrote = True
        elif name not in COMMANDS:
            raise NotImplementedError(f"{name} is not known on paper")
        return COMMANDS[name](self.data, *command[1:])

    def _require_writable(self, name: str) -> None:
        if self.readonly:
            raise Failure("READONLY You can't write against a read only replica.")
        if self.full and name in GROWING and not self._wrote:  # a script that has begun to write may end
            raise Failure("OOM command not allowed when used memory > 'maxmemory'.")

    def _time(self) -> None:
        self.data.now = int(self.clock * 1000)

    def _commit(self) -> None:
        touched, self.data.touched = self.data.touched, set()
        if not self.recorded:
            return
        self.journal.append({key: self.data.state(key) for key in sorted(touched)})
        for replica in self.replicas:
            self.loop.outside(LAG, replica._replicate, self, len(self.journal))

    def _apply(self, delta: Delta) -> None:
        for key, state in delta.items():
            self.data.put(key, state)
