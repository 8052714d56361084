"""What an explanation needs around it: providers' keys, and what the store knows, as far as it can be reached."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from gateway.explain.request import Explainer
from gateway.explain.step import Step, note
from gateway.gate.protocols import NoSuspensions, Suspensions
from gateway.identity.credentials import Ask
from gateway.identity.passport import Passport
from gateway.identity.revocations import Marks, NoMarks
from gateway.identity.verifier import Answer, Presented
from gateway.model import Config, Identity
from gateway.quota.adjust import Accounts
from gateway.quota.suspensions import Suspensions as Suspended
from gateway.store import StoreError
from gateway.store.lines import Lines
from gateway.store.marks import MemoryMarks
from gateway.store.marks_file import load
from gateway.store.store_marks import StoreMarks
from gateway.store.visit import visiting


@asynccontextmanager
async def explaining(config: Config) -> AsyncIterator[tuple[Explainer, list[Step]]]:
    """And notes on what cannot be looked at."""
    async with AsyncExitStack() as stack:
        notes: list[Step] = []
        marks: Marks = NoMarks()
        suspensions: Suspensions = NoSuspensions()
        reader: Accounts | None = None
        try:
            found: StoreMarks | MemoryMarks
            if config.store.kind == "memory":
                found = _saved(config)
                notes.append(note("store", "memory: what was counted is in the gateway alone"))
            else:
                found, reader = await _store(stack, config)
            marks, suspensions = found, Suspended(found)
        except StoreError as error:
            notes.append(note("store", f"{error}; what was counted, revoked or suspended is not looked at"))
        passport = Passport(
            config.providers,
            config.applications.values(),
            certificates=config.certificates,
            marks=marks,
            sign_on=NoSessions(),
            log=_silent(),
        )
        stack.push_async_callback(passport.close)
        await passport.start()
        notes += [note("provider", problem) for problem in passport.problems()]
        yield Explainer(config, passport, suspensions, reader, time.time), notes


def _saved(config: Config) -> MemoryMarks:
    """What a gateway on this machine has saved."""
    marks = MemoryMarks(time.time, lambda _: None)
    saved = load(config.data)
    marks.apply(saved[1] if saved else ())
    return marks


async def _store(stack: AsyncExitStack, config: Config) -> tuple[StoreMarks, Accounts]:
    """What a command can reach of it; raises StoreError."""
    store = config.store
    servers = await stack.enter_async_context(visiting(store, config.data))
    lines = Lines(servers, store)
    stack.push_async_callback(lines.close)
    marks = StoreMarks(lines, store.prefix, time.time)
    if not await marks.look():
        raise StoreError("the store does not tell what was revoked")
    durable = store.kind == "embedded"
    accounts = Accounts(servers, prefix=store.prefix, fence=store.fence, durable=durable, replicas=store.replicas)
    return marks, accounts


class NoSessions:
    """Of people: their cookies are for the gateway alone, so a request is taken as one without."""

    def verifier(self, _providers: tuple[str, ...]) -> NoSessions:
        return self

    def recall(self, _ask: Ask) -> Identity | None:
        return None

    def way_in(self, _ask: Ask) -> None:
        return None

    def present(self, _ask: Ask) -> Presented | None:
        return None

    def verify(self, presented: Presented, _ask: Ask, _done: Callable[[Answer], None]) -> Identity | None:
        return presented.identity


def _silent() -> logging.Logger:
    """What is refused is told as a step, not in a log."""
    log = logging.Logger("gateway.explain")
    log.disabled = True
    return log
