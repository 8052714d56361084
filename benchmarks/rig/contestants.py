"""Who takes part: what each needs, the files it reads and how it is started."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from rig.material import LIMIT, render

Values = Mapping[str, str]
MODULES = "/usr/lib/nginx/modules"
LUA = {
    f"{MODULES}/ngx_http_lua_module.so": "libnginx-mod-http-lua",
    "/usr/lib/*/lua/5.1/_openssl.so": "lua-luaossl",
    "/usr/lib/*/lua/5.1/cjson.so": "lua-cjson",
    "/usr/share/lua/5.1/nginx/redis.lua": "lua-nginx-redis",
}


class Contestant(NamedTuple):
    """`needs` maps a program's name or a file's pattern to Debian's package; `prepare` writes the configuration into a
    folder and returns the command."""

    name: str
    does: str
    needs: Mapping[str, str]
    prepare: Callable[[Path, Values], list[str]]
    verifies: bool = True  # answers 401 without a token
    counts: bool = True  # leaves a counter in Redis

    def missing(self) -> list[str]:
        """Debian's packages that are not installed."""
        return [package for need, package in self.needs.items() if not _present(need)]


def _present(need: str) -> bool:
    if need.startswith("/"):
        return any(Path("/").glob(need[1:]))
    return shutil.which(need) is not None


def _plangate(folder: Path, values: Values) -> list[str]:
    plans = folder / "plans"
    plans.mkdir(exist_ok=True)
    for name in ("gateway.yaml", "items.yaml"):
        render(f"plans/{name}", plans / name, {**values, "limit": str(LIMIT)})
    return [sys.executable, "-m", "gateway", "run", str(plans)]


def _nginx(folder: Path, values: Values) -> list[str]:
    return _nginx_command(folder, values, modules="", prepare="", access="", log="access_log off;")


FORMAT = """log_format json escape=json '{"time":"$time_iso8601","request_id":"$request_id","client":"$remote_addr",'
  '"method":"$request_method","host":"$host","path":"$uri","status":$status,"bytes_in":$request_length,'
  '"bytes_out":$bytes_sent,"seconds":$request_time,"upstream":"$upstream_addr","upstream_seconds":"$upstream_response_time"}';
"""
FULL = """access_by_lua_block { require("gate").access_full() } header_filter_by_lua_block { require("gate").headers() }
  log_by_lua_block { require("gate").measure() }"""


def _nginx_lua(folder: Path, values: Values) -> list[str]:
    return _nginx_with_lua(folder, values, 'access_by_lua_block { require("gate").access() }', "access_log off;")


def _nginx_lua_full(folder: Path, values: Values) -> list[str]:
    log = f"{FORMAT} access_log {folder}/access.log json buffer=64k flush=1s; lua_shared_dict metrics 4m;"
    return _nginx_with_lua(folder, values, FULL, log)


def _nginx_with_lua(folder: Path, values: Values, access: str, log: str) -> list[str]:
    (folder / "gate.lua").write_bytes((Path(__file__).parent / "conf" / "gate.lua").read_bytes())
    key = (folder / "token.pub").read_text()
    return _nginx_command(
        folder,
        values,
        modules=f"load_module {MODULES}/ndk_http_module.so; load_module {MODULES}/ngx_http_lua_module.so;",
        prepare=f'lua_package_path "{folder}/?.lua;;"; init_by_lua_block {{ require("gate").init{{ key = [[{key}]], '
        f'issuer = "{values["issuer"]}", port = {values["redis_port"]}, limit = {LIMIT} }} }}',
        access=access,
        log=log,
    )


def _nginx_command(folder: Path, values: Values, **parts: str) -> list[str]:
    render("nginx.conf", folder / "nginx.conf", {**values, **parts})
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def _haproxy(folder: Path, values: Values) -> list[str]:
    render("haproxy.cfg", folder / "haproxy.cfg", dict(values))
    return ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]


BASE = "nginx+lua"
CONTESTANTS = (
    Contestant("plangate", "everything: token, mapping rules, shared limit, metrics, access log", {}, _plangate),
    Contestant(BASE, "token cached, one Redis call a request", {"nginx": "nginx", **LUA}, _nginx_lua),
    Contestant(
        "nginx+lua+",
        "as plangate: also mapping rules, limit headers, metrics, access log",
        {"nginx": "nginx", **LUA},
        _nginx_lua_full,
    ),
    Contestant("haproxy", "token, no shared limit", {"haproxy": "haproxy"}, _haproxy, counts=False),
    Contestant("nginx", "mutual TLS only", {"nginx": "nginx"}, _nginx, verifies=False, counts=False),
)
