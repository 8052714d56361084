"""A configuration that changes under traffic: taken whole or not at all, and no request is lost by it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from rigs.gateway import Gateway
from rigs.load import Load, rush
from rigs.processes import private_bytes
from rigs.stage import ORDERS, Stage
from rigs.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLANS = """
plans:
  gold: {services: [orders], limits: {hits: [LIMIT/eternity]}}
applications:
  mobile: {plans: [gold], client_ids: [mobile-app]}
"""


def plans(limit: int) -> str:
    return PLANS.replace("LIMIT", str(limit))


async def test_a_limit_and_a_route_change_under_load_and_usage_is_kept(stage: Stage, tmp_path: Path) -> None:
    """And `gateway diff` has told it before each time, while requests went on."""
    async with stage.gateway(tmp_path, ORDERS, plans(10**9), STORE="embedded", WORKERS="2") as gateway:
        with_more = ORDERS + "      - GET /more: hits\n"
        assert (await gateway.get("/more", stage.token())).json()["code"] == "no_service"
        async with Load(gateway, stage.token()).flowing() as load:
            await load.more(300)
            for number in range(3):
                told = await edited(gateway, with_more.replace("path: /orders", "path: /"), plans(10**9 - number))
                if number == 0:
                    assert "may call orders: GET /more" in told
                else:
                    assert f"limit lowered: hits per eternity: {10**9 - number + 1} → {10**9 - number}" in told
                assert "starts at 0" not in told
                answer = await gateway.reload()
                assert (answer.status_code, answer.json()["status"]) == (200, "reloaded")
                await load.more(300)
        assert load.lost == []
        assert set(load.statuses) == {200}
        assert "code" not in (await gateway.get("/more", stage.token())).text  # it is the service that has no such page
        used = load.statuses.total() + 1
        told = await edited(gateway, ORDERS, plans(5), "--usage")
        assert "over the new limit at once\n  mobile: " in told
        assert " of 5 hits per eternity (gold; the limit was " in told
        assert (await gateway.reload()).status_code == 200
        assert await rush([gateway], stage.token(), 4, connections=2) == {429: 4}
        assert f"limit raised: hits per eternity: 5 → {used + 10}" in await edited(gateway, ORDERS, plans(used + 10))
        assert (await gateway.reload()).status_code == 200
        assert await rush([gateway], stage.token(), 20, connections=4) == {200: 10, 429: 10}


async def edited(gateway: Gateway, *arguments: str) -> str:
    """Writes other plans, which the gateway has not read yet; what `gateway diff` tells of that, with `--options`."""
    files = [argument for argument in arguments if not argument.startswith("--")]
    gateway.configure(*files)
    options = arguments[len(files) :]
    done = await gateway.command("diff", f"http://{gateway.admin}", str(gateway.plans), *options)
    assert (done.returncode, done.stderr) == (2, "")
    return done.stdout


async def test_the_memory_store_keeps_usage_too(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, plans(10)) as gateway:
        assert await rush([gateway], stage.token(), 12, connections=2) == {200: 10, 429: 2}
        gateway.configure(ORDERS, plans(15))
        await gateway.reload()
        assert await rush([gateway], stage.token(), 12, connections=2) == {200: 5, 429: 7}


async def test_connections_stay_open(stage: Stage, tmp_path: Path) -> None:
    """A client's, and those to a service that is as it was."""
    async with stage.gateway(tmp_path, ORDERS, plans(100)) as gateway:
        async with Load(gateway, stage.token(), kept=1, new=0).flowing() as load:
            await load.more(5)
            before = connections(gateway)
            gateway.configure(ORDERS, plans(10**9))
            assert (await gateway.reload()).json()["status"] == "reloaded"
            await load.more(5)
            assert connections(gateway) == before
        assert load.lost == []


def connections(gateway: Gateway) -> set[tuple[int, int]]:
    """Both ports of each."""
    found = gateway.worker.net_connections("tcp")
    return {(c.laddr.port, c.raddr.port) for c in found if c.raddr}


async def test_files_with_problems_change_nothing_and_each_problem_is_told(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, plans(100)) as gateway:
        gateway.configure(ORDERS, plans(50).replace("eternity", "fortnight").replace("orders", "invoices"))
        answer = await gateway.reload()
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        told = answer.json()
        assert told["code"] == "invalid"
        places = [(problem["line"], problem["path"]) for problem in told["problems"]]
        assert places == [(3, "plans.gold.services[0]"), (3, "plans.gold.limits.hits[0]")]
        assert all(problem["file"].endswith("2.yaml") and problem["column"] > 1 for problem in told["problems"])
        line = await gateway.said("'fortnight' is not a period")
        assert line["level"] == "error"
        assert "2.yaml:3:" in line["message"]
        assert (await gateway.get(token=stage.token())).status_code == 200
        assert await gateway.metric('gateway_reloads_total{outcome="invalid"}') == 1


async def test_nothing_happens_where_nothing_has_changed(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, plans(100)) as gateway:
        gateway.configure("# another comment\n" + ORDERS, plans(100))
        assert (await gateway.reload()).json() == {"status": "unchanged", "detail": "nothing has changed"}


async def test_what_needs_a_restart_is_refused_by_name(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, plans(100)) as gateway:
        main = gateway.plans / "0.yaml"
        text = main.read_text().replace('url: "${STORE}"', "url: embedded, prefix: other")
        main.write_text(text.replace("${WORKERS:-1}", "2"))
        answer = await gateway.reload()
        assert (answer.status_code, answer.json()["code"]) == (409, "restart_needed")
        assert answer.json()["detail"].startswith("gateway.workers, gateway.store cannot change without a restart")
        assert (await gateway.get(token=stage.token())).status_code == 200


async def test_a_hangup_signal_reloads(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, plans(0)) as gateway:
        assert (await gateway.get(token=stage.token())).status_code == 403
        gateway.configure(ORDERS, plans(5))
        gateway.process.send_signal(signal.SIGHUP)
        await gateway.said("the configuration is reloaded")
        assert (await gateway.get(token=stage.token())).status_code == 200


async def test_the_command_reloads_and_shows_problems(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, plans(0)) as gateway:
        gateway.configure(ORDERS, plans(5))
        done = await gateway.command("reload", str(gateway.plans))
        assert (done.returncode, done.stdout, done.stderr) == (0, "the configuration is reloaded\n", "")
        assert (await gateway.get(token=stage.token())).status_code == 200
        gateway.configure(ORDERS, plans(5).replace("gold:", "gold: 5 #"))
        failed = await gateway.command("reload", str(gateway.plans), "--admin", gateway.admin)
        assert failed.returncode == 1
        assert "2.yaml:3:9: plans.gold: is text, would be a mapping" in failed.stderr


@pytest.mark.slow
async def test_memory_does_not_grow_with_reloads(stage: Stage, tmp_path: Path) -> None:
    many = "".join(SERVICE.format(number=number) for number in range(100))
    async with stage.gateway(tmp_path, ORDERS + many, plans(10**9), STORE="embedded", WORKERS="2") as gateway:
        sizes = []
        async with Load(gateway, stage.token()).flowing() as load:
            for number in range(20):
                gateway.configure(ORDERS + many.replace("/old", f"/new-{number}"), plans(10**9 - number))
                assert (await gateway.reload()).json()["status"] == "reloaded"
                await load.more(100)
                sizes.append(private_bytes([gateway.supervisor, *gateway.workers]))
        assert load.lost == []
        # the least of some: on a busy machine an old configuration goes a little later
        assert min(sizes[15:]) - min(sizes[3:8]) < 3 * 2**20, sizes


SERVICE = """
  service-{number}:
    path: /service-{number}
    upstream: {{targets: ["http://127.0.0.1:9"]}}
    accept: [{{jwt: keycloak}}]
    rules:
      - GET /service-{number}/old: hits
      - "POST /service-{number}/{{id}}/items": {{hits: 2}}
"""


async def test_a_removed_route_is_gone_and_what_it_had_in_flight_is_finished(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, plans(10)) as gateway, gateway.connected() as (reader, writer):
        writer.write(gateway.head(stage.token(), "/orders/slow/1.5"))
        await until(lambda: is_forwarded(gateway))
        gateway.configure(ORDERS.replace("/orders", "/others").replace("orders.internal", "other.internal"), plans(10))
        assert (await gateway.reload()).json()["status"] == "reloaded"
        assert (await gateway.get(token=stage.token())).status_code == 404
        assert b'"waited":1.5' in await reader.readuntil(b"}")


async def is_forwarded(gateway: Gateway) -> bool:
    return await gateway.metric('gateway_upstream_connections{state="open",upstream="orders"}') == 1
