"""Redis's Lua: the language itself, in a sandbox like the server's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lupa.lua51 import LuaError, LuaRuntime, lua_type

SANDBOX = rb"""
local call = ...
local redis = {}
function redis.pcall(...) return call(...) end
function redis.call(...)
  local reply = call(...)
  if type(reply) == 'table' and reply.err then error(reply, 0) end
  return reply
end
function redis.error_reply(text) return {err = text} end
function redis.status_reply(text) return {ok = text} end
local function protected(well, ...)
  local problem = ...
  if not well and type(problem) == 'table' and problem.err then return well, problem.err end
  return well, ...
end
local globals = {redis = redis, string = string, table = table, math = math, tonumber = tonumber, tostring = tostring,
  ipairs = ipairs, pairs = pairs, next = next, type = type, error = error, xpcall = xpcall,
  assert = assert, unpack = unpack, select = select, setmetatable = setmetatable, getmetatable = getmetatable,
  pcall = function(...) return protected(pcall(...)) end}
setmetatable(globals, {
  __index = function(_, name) error('Script attempted to access nonexistent global variable \'' .. name .. '\'', 2) end,
  __newindex = function(_, name) error('Attempt to modify a readonly table', 2) end})
local function compile(text)
  local script, problem = loadstring(text, '@user_script')
  if not script then error(problem, 0) end
  return setfenv(script, globals)
end
local function run(script, keys, arguments)
  rawset(globals, 'KEYS', keys)
  rawset(globals, 'ARGV', arguments)
  return pcall(script)
end
return {compile, run}
"""


class Failure(Exception):
    """An error that is the answer to a command: `WRONGTYPE Operation …`."""


class Status(bytes):
    """A short answer that is not a value, such as OK."""


OK = Status(b"OK")


class Lua:
    """Runs scripts; `call` carries out the commands that they make, and gives an answer or raises Failure."""

    def __init__(self, call: Callable[[tuple[bytes, ...]], Any]) -> None:
        self._call = call
        self._broken: BaseException | None = None
        self._runtime = LuaRuntime(  # type: ignore[call-arg]
            encoding=None, register_eval=False, register_builtins=False, unpack_returned_tuples=False
        )
        tools = self._runtime.execute(SANDBOX, self._made)
        self._compile, self._run = tools[1], tools[2]
        self._scripts: dict[bytes, Any] = {}

    def run(self, text: bytes, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """The script's answer; raises Failure."""
        table = self._runtime.table_from
        well, result = self._run(self._script(text), table(list(keys)), table(list(arguments)))
        if self._broken is not None:
            broken, self._broken = self._broken, None
            raise broken
        answer = self._answer(result)
        if not well and not isinstance(answer, Failure):
            raise Failure(f"ERR {answer.decode()}")
        if isinstance(answer, Failure):
            raise answer
        return answer

    def _script(self, text: bytes) -> Any:
        if text not in self._scripts:
            try:
                self._scripts[text] = self._compile(text)
            except LuaError as error:
                raise Failure(f"ERR Error compiling script (new function): {error}") from None
        return self._scripts[text]

    def _made(self, *arguments: Any) -> Any:
        """A command that a script makes. What this world does not know is not for the script to catch."""
        try:
            return self._value(self._call(tuple(map(_argument, arguments))))
        except Failure as failure:
            return self._runtime.table_from({b"err": str(failure).encode()})
        except Exception as error:
            self._broken = error
            return self._runtime.table_from({b"err": b"ERR broken"})

    def _value(self, reply: Any) -> Any:
        """An answer as a script sees it."""
        if reply is None:
            return False
        if isinstance(reply, Status):
            return self._runtime.table_from({b"ok": bytes(reply)})
        if isinstance(reply, list):
            return self._runtime.table_from([self._value(part) for part in reply])
        return reply

    def _answer(self, value: Any) -> Any:
        """A script's value as a client sees it."""
        match value:
            case True:
                return 1
            case int() | float() if value is not False:
                return int(value)
            case bytes():
                return value
        return self._table(value) if lua_type(value) == "table" else None

    def _table(self, table: Any) -> Any:
        if table[b"err"] is not None:
            return Failure(table[b"err"].decode())
        return Status(table[b"ok"]) if table[b"ok"] is not None else self._array(table)

    def _array(self, table: Any) -> list[Any]:
        answers, place = [], 1
        while table[place] is not None:
            answers.append(self._answer(table[place]))
            place += 1
        return answers


def _argument(value: Any) -> bytes:
    """What a script passes to a command: text, or a number as Redis writes it."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Failure("ERR Lua redis lib command arguments must be strings or integers")
    return b"%d" % value if value == int(value) else b"%.17g" % value
