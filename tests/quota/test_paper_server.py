"""The server on paper answers as real ones do: to commands, to scripts, and to a ledger's whole life."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import ResponseError

from gateway.quota.store import StoreLedger

from .conftest import prefixes
from .paper.loop import PaperLoop, Process
from .paper.network import PaperTopology
from .paper.play import Player
from .paper.schedules import schedule
from .paper.server import PaperServer
from .paper.session import Session

PROBE = rb"""
local at = 0
local function argument() at = at + 1 return ARGV[at] end
local function tell(value)
  if type(value) ~= 'table' then return type(value) .. ' ' .. tostring(value) end
  if value.err then return 'error ' .. string.match(value.err, '^%S+') end
  if value.ok then return 'status ' .. value.ok end
  local parts = {}
  for i, part in ipairs(value) do parts[i] = tell(part) end
  return '{' .. table.concat(parts, ', ') .. '}'
end
local told = {}
for i = 1, tonumber(argument()) do
  local command = {}
  for j = 1, tonumber(argument()) do command[j] = argument() end
  told[i] = tell(redis.pcall(unpack(command)))
end
return told
"""

KEYS = ["a", "b", "c"]
keys = st.sampled_from(KEYS)
words = st.sampled_from(["x", "y", "", "7", "-3", "12 3,4", "\0"])
numbers = st.integers(-9, 9).map(str)
bounds = st.sampled_from(["-inf", "+inf", "(2", "3", "(4", "0"])
later = st.sampled_from(["1000000", "4102444800"])  # no key expires while a test runs, but those that do at once
expiries = st.sampled_from([(), ("EX", "1000"), ("PX", "9000000"), ("EXAT", "4102444800"), ("EXAT", "1"), ("EX", "0")])


def command(name: str, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.tuples(*parts).map(lambda found: (name, *flat(found)))


def flat(found: Any) -> list[str]:
    return [found] if isinstance(found, str) else [word for part in found for word in flat(part)]


def many(*parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(st.tuples(*parts), min_size=1, max_size=3)


commands = st.one_of(
    command("SET", keys, words, expiries),
    command("SET", keys, words, st.sampled_from(["NX", "XX", "KEEPTTL"])),
    *(command(name, keys) for name in ("GET", "PERSIST", "INCR", "HGETALL", "HLEN", "SCARD")),
    *(command(name, keys) for name in ("ZCARD", "XLEN")),
    *(command(name, many(keys)) for name in ("MGET", "DEL", "EXISTS")),
    *(command(name, keys, later) for name in ("EXPIRE", "PEXPIREAT", "EXPIREAT")),
    command("INCRBY", keys, numbers),
    command("HSET", keys, many(words, words)),
    command("HINCRBY", keys, words, numbers),
    *(command(name, keys, words) for name in ("HGET", "HEXISTS", "SISMEMBER", "ZSCORE")),
    *(command(name, keys, many(words)) for name in ("HMGET", "HDEL", "SADD", "SREM", "ZREM")),
    command("ZADD", keys, many(numbers, words)),
    *(command(name, keys, bounds, bounds) for name in ("ZCOUNT", "ZRANGEBYSCORE", "ZREMRANGEBYSCORE")),
    command("XADD", keys, st.sampled_from([(), ("MAXLEN", "2"), ("MAXLEN", "~", "2")]), st.just("*"), words, words),
)  # fmt: skip


def told(answer: bytes) -> bytes:
    """An id of a stream is a time."""
    return b"id" if answer.startswith(b"string ") and answer.count(b"-") == 1 and len(answer) > 20 else answer


class Both:
    """A real server and one on paper, asked the same."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url)
        self._connection = self._redis.connection_pool.get_connection()
        self._loop = PaperLoop()
        self._paper = PaperServer("paper", self._loop, Random(0), time.time)
        self._session = Session(self._paper.life)

    def __enter__(self) -> Both:
        self._redis.script_flush()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.disconnect()
        self._redis.close()
        self._loop.close()

    def ask(self, *command: str | bytes | int) -> tuple[Any, Any]:
        """What both answer: the real one, the one on paper."""
        heard: list[Any] = []
        self._paper.receive(self._session, [command], heard.extend)
        self._connection.send_command(*command)
        try:
            return self._connection.read_response(), heard[0]
        except ResponseError as error:
            return error, heard[0]

    def agree(self, *command: str | bytes | int) -> Any:
        real, paper = self.ask(*command)
        if isinstance(real, ResponseError):
            assert type(paper) is type(real), command
            assert str(paper).split()[:3] == str(real).split()[:3], command
        else:
            assert paper == real, command
        return paper


@pytest.fixture(params=["redis", "valkey"])
def url(request: pytest.FixtureRequest, urls: Callable[[str], str]) -> str:
    return urls(request.param)


@pytest.mark.redis
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(asked=st.lists(commands, min_size=1, max_size=12))
def test_commands_of_a_script_are_answered_as_by_a_real_server(url: str, asked: list[tuple[str, ...]]) -> None:
    """Types and values as Lua sees them, refusals by their first word, and the time that is left."""
    prefix = next(prefixes)
    own = [(name, *(f"{prefix}:{part}" if part in KEYS else part for part in rest)) for name, *rest in asked]
    states = [(name, f"{prefix}:{key}") for key in KEYS for name in ("EXISTS", "TTL")]
    packed = [str(word) for command in own + states for word in (len(command), *command)]
    with Both(url) as both:
        real, paper = both.ask("EVAL", PROBE, 0, len(own) + len(states), *packed)
        assert [*map(told, paper)] == [*map(told, real)]


@pytest.mark.redis
@pytest.mark.parametrize(
    "text",
    [
        *(
            "return 1",
            "return 3.9",
            "return -3.9",
            "return 'x'",
            "return true",
            "return false",
            "return nil",
            "return {}",
        ),
        *("return {1, 'x', {2, nil, 3}, false}", "return {ok = 'FINE'}", "return {err = 'BROKEN by itself'}"),
        *("return redis.error_reply('CORRUPT x')", "return redis.status_reply('x')", "return print", "return #KEYS"),
        *("return tostring(redis.call('GET', 'none'))", "return redis.call('SET', KEYS[1], 12.5)"),
        *("redis.call('SET', KEYS[1], 2^53) return redis.call('GET', KEYS[1])", "return redis.call('TIME')[3]"),
        *("return redis.call('INCR', KEYS[1]) + 0.9", "error('mine')"),
        *(
            "return {redis.call('SET', KEYS[1], 'x'), redis.call('GET', KEYS[1])}",
            "return (",
            "made = 1",
            "return made",
        ),
        "redis.call('SET', KEYS[1], 'x') return redis.call('HGET', KEYS[1], 'y')",
        "return {pcall(redis.call, 'HGET', KEYS[1], 'y')}",
    ],
)
def test_what_a_script_gives_is_translated_as_by_a_real_server(url: str, text: str) -> None:
    prefix = next(prefixes)
    with Both(url) as both:
        both.agree("SET", f"{prefix}:a", "1")
        real, paper = both.ask("EVAL", text, 1, f"{prefix}:a")
        if isinstance(real, ResponseError):
            assert str(paper).split()[0] == str(real).split()[0]
        else:
            assert paper == real


# --- what a ledger does ------------------------------------------------------------------------------


def trace(kind: str, seed: int, prefix: str) -> list[tuple[bytes, ...]]:
    """All that gateways asked of a server in a schedule, in order."""

    def make(topology: PaperTopology, process: Process) -> StoreLedger:
        ledger = StoreLedger(topology, prefix=prefix, clock=process.clock)
        ledger.clock.seen = time.time()  # then scripts take the time from their caller, not from the server
        return ledger

    player = Player(schedule(kind, seed), make, 0.05)
    asked = player.world.servers[0].trace = []
    player.play()
    return [command for command in asked if command != (b"FLUSHALL",)]


@pytest.mark.redis
@pytest.mark.parametrize(
    ("kind", "seed"), [("calm", 3), ("deaths", 1), ("loss", 2), ("loss", 9), ("storms", 4), ("mixed", 7)]
)
def test_a_ledgers_calls_are_answered_as_by_a_real_server(url: str, kind: str, seed: int) -> None:
    """The real scripts with the arguments of a ledger in trouble: the same answers, and the same keys in the end."""
    prefix = next(prefixes)
    asked = trace(kind, seed, prefix)
    keys = sorted({word for command in asked for word in command if word.startswith(f"{prefix}:".encode())})
    assert len(asked) > 20
    with Both(url) as both:
        for command in asked:
            both.agree(*command)
        for key in keys:
            both.agree("GET", key)
            both.agree("ZRANGEBYSCORE", key, "-inf", "+inf")
            both.agree("XLEN", key)
            real, paper = both.ask("TTL", key)
            assert abs(real - paper) <= 1
        real, paper = both.ask("XRANGE", f"{prefix}:outbox", "-", "+")
        assert [fields for _, fields in paper] == [fields for _, fields in real]
