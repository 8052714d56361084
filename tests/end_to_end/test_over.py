"""Over a limit: an application is suspended on every gateway, or another upstream serves."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from rigs.load import lasting, rush
from rigs.proxy import answering
from rigs.stage import ORDERS, Stage
from rigs.stores import Server
from rigs.waiting import PATIENCE, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


def plans(limit: str) -> str:
    return f"""
plans:
  gold: {{services: [orders], limits: {{hits: [{limit}]}}}}
applications:
  mobile: {{plans: [gold], client_ids: [mobile-app]}}
"""


@pytest.mark.redis
async def test_who_goes_over_is_suspended_on_every_gateway_until_resumed(
    stage: Stage, redis: Server, tmp_path: Path
) -> None:
    limit = lasting(5)[:-1] + ", over: suspend}"
    async with stage.gateways(2, tmp_path, ORDERS, plans(limit), STORE=redis.url) as running:
        one, other = running
        token = stage.token()
        assert await rush([one], token, 5, connections=1) == {200: 5}

        async def code_at(gateway: object) -> str:
            answer = await gateway.get(token=token)  # type: ignore[attr-defined]
            return "ok" if answer.status_code == 200 else f"{answer.status_code} {answer.json()['code']}"

        assert await code_at(one) == "403 application_suspended"
        async with asyncio.timeout(PATIENCE):
            while await code_at(other) != "403 application_suspended":  # 429 or 503 would show in the next line
                await asyncio.sleep(0.05)
        shown = await other.command("usage", "suspended", str(other.plans), "-o", "json")
        (row,) = json.loads(shown.stdout)
        assert (row["scope"], row["over"].split("/")[0]) == ("mobile", "hits")
        done = await other.command("usage", "resume", str(other.plans), "mobile", "--reset")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("mobile: resumed; suspended since ")
        for gateway in running:

            async def served(gateway: object = gateway) -> bool:
                return await code_at(gateway) == "ok"

            await until(served)
        lines = [line for gateway in running for line in gateway.log() if line["logger"] == "gateway.audit"]
        actions = [line["action"] for line in lines]  # both may have seen that it went over
        assert [*dict.fromkeys(actions)] == ["usage.suspend", "usage.reset", "usage.resume"]
        assert await rush([other], token, 3, connections=1) == {200: 3}  # what it knew is not held against it
        done = await other.command("usage", "suspend", str(other.plans), "mobile")
        assert done.stdout.startswith("mobile: suspended since ")

        async def refused_at_both() -> bool:
            return {await code_at(gateway) for gateway in running} == {"403 application_suspended"}

        await until(refused_at_both)
        done = await one.command("usage", "resume", str(one.plans), "mobile")
        assert done.stdout.endswith(" by hand\n")
        unknown = await one.command("usage", "suspend", str(one.plans), "nobody")
        assert unknown.stderr == "gateway usage suspend: 'nobody' is not an application of the plans\n"
        refused = await one.command("usage", "resume", str(one.plans), "mobile")
        assert refused.stderr == "gateway usage resume: nobody called 'mobile' is suspended\n"


async def test_a_suspension_is_there_after_a_restart_with_the_memory_store_too(stage: Stage, tmp_path: Path) -> None:
    async with stage.gateway(tmp_path, ORDERS, plans("{limit: 1/eternity, over: suspend}")) as gateway:
        token = stage.token()
        assert [(await gateway.get(token=token)).status_code for _ in range(3)] == [200, 403, 403]

        async def told() -> bool:
            rows = await gateway.command("usage", "suspended", str(gateway.plans), "-o", "json")
            return len(json.loads(rows.stdout)) == 1

        await until(told)
        await gateway.stop()
        await gateway.start()
        assert (await gateway.get(token=token)).json()["code"] == "application_suspended"
        assert (await gateway.command("usage", "resume", str(gateway.plans), "mobile")).returncode == 0

        async def served() -> bool:
            return (await gateway.get(token=token)).status_code == 200

        await until(served)


@pytest.mark.redis
async def test_two_gateways_give_the_first_upstream_exactly_the_limit(
    stage: Stage, redis: Server, tmp_path: Path
) -> None:
    cheap = await asyncio.start_server(answering(b"HTTP/1.1 203 Cheap\r\nContent-Length: 0\r\n\r\n"), "127.0.0.1", 0)
    port = cheap.sockets[0].getsockname()[1]
    service = ORDERS.replace("    upstream:\n", "    upstreams:\n     main:\n")
    service = service.replace("    accept:", f'     cheap: {{targets: ["http://127.0.0.1:{port}"]}}\n    accept:')
    limit = lasting(200)[:-1] + ", over: {degrade: cheap}}"
    async with cheap, stage.gateways(2, tmp_path, service, plans(limit), STORE=redis.url) as running:
        assert await rush(running, stage.token(), 600, connections=20) == {200: 200, 203: 400}
        answer = await running[0].get(token=stage.token())
        assert (answer.status_code, answer.headers["ratelimit"].split(";")[1]) == (203, "r=0")
        line = await running[0].logged(answer)
        assert (line["reason"], line["upstream"]) == ("degraded", f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("store", ["memory", "embedded"])
async def test_a_client_reads_its_own_usage(stage: Stage, tmp_path: Path, store: str) -> None:
    service = ORDERS.replace("    rules:", "    usage_path: /orders/usage\n    rules:")
    async with stage.gateway(tmp_path, service, plans("5/eternity"), STORE=store) as gateway:
        token = stage.token()
        assert await rush([gateway], token, 2, connections=1) == {200: 2}

        async def told() -> bool:
            answer = await gateway.get("/orders/usage", token=token)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
            (limit,) = answer.json()["limits"]
            return (limit["used"], limit["remaining"]) == (2, 3)

        await until(told)
        assert (await gateway.get("/orders/usage")).status_code == 401
        assert await rush([gateway], token, 4, connections=1) == {200: 3, 429: 1}
        answer = await gateway.get("/orders/usage", token=token)
        assert answer.status_code == 200  # also over the limit
        shown = await gateway.command("usage", str(gateway.plans), "mobile")
        assert shown.returncode == (1 if store == "memory" else 0)
