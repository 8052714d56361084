"""Alerts in a real Alertmanager: they fire, are one for each window, and resolve when it ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from calendar import timegm
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rigs.processes import free_address

from gateway.alerts.channels import NotDelivered
from gateway.alerts.post import AlertmanagerChannel
from gateway.model import Alert

Make = Callable[..., Alert]


class Alertmanager:
    """Debian's, on a free port, with a receiver of its own."""

    def __init__(self, url: str, client: httpx2.AsyncClient) -> None:
        self.url = url
        self._client = client

    async def answers(self) -> bool:
        try:
            return (await self._client.get(f"{self.url}/-/ready")).status_code == 200
        except httpx2.HTTPError:
            return False

    async def alerts(self) -> list[dict[str, Any]]:
        """Those that fire."""
        found = (await self._client.get(f"{self.url}/api/v2/alerts")).json()
        return sorted(found, key=lambda alert: (alert["labels"]["application"], int(alert["labels"]["threshold"])))


async def until(condition: Callable[[], Any], seconds: float = 15) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await condition()):
            await asyncio.sleep(0.02)
    return found


@pytest.fixture
async def manager(tmp_path: Path, client: httpx2.AsyncClient, hook: Any) -> AsyncIterator[Alertmanager]:
    """It tells `hook` what fires and what is resolved."""
    binary = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if binary is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("needs Debian's prometheus-alertmanager")
    receiver = f"{{name: ops, webhook_configs: [{{url: '{hook.url}', send_resolved: true}}]}}"
    route = "{receiver: ops, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}"
    (tmp_path / "am.yml").write_text(f"route: {route}\nreceivers: [{receiver}]\n")
    address = free_address()
    process = subprocess.Popen(
        [
            binary,
            f"--config.file={tmp_path / 'am.yml'}",
            f"--storage.path={tmp_path / 'data'}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    manager = Alertmanager(f"http://{address}", client)
    try:
        await until(manager.answers)
        yield manager
    finally:
        process.kill()
        process.wait()


def now(make_alert: Make, name: str, seconds: float, **changes: Any) -> Alert:
    """An alert raised now, of a window that ends in so many seconds."""
    here = time.time()
    return make_alert(name, window_start=here - 20, window_end=here + seconds, raised_at=here, **changes)


async def test_alerts_fire_and_resolve_when_their_windows_end(
    manager: Alertmanager, client: httpx2.AsyncClient, hook: Any, make_alert: Make
) -> None:
    channel = AlertmanagerChannel("oncall", manager.url, None, client)
    short = now(make_alert, "a1", 3, application="short")
    await channel.send([short, now(make_alert, "a2", 60, application="wide", bin=100, spent=10)])
    await channel.send([short])  # again, as at least once means
    first, second = await manager.alerts()
    assert first["labels"] | {"window_start": ""} == {
        "alertname": "UsageThresholdReached",
        "application": "short",
        "plan": "gold",
        "metric": "hits",
        "period": "minute",
        "threshold": "80",
        "severity": "warning",
        "window_start": "",
    }
    assert first["annotations"]["summary"] == "short: hits per minute: 8/10 (80 %)"
    assert second["labels"]["severity"] == "critical"

    async def resolved() -> bool:
        return any(
            (event["alerts"][0]["labels"]["application"], event["status"]) == ("short", "resolved")
            for event in hook.events
        )

    await until(resolved, 20)
    assert [alert["labels"]["application"] for alert in await manager.alerts()] == ["wide"]


async def test_the_next_window_is_another_alert(
    manager: Alertmanager, client: httpx2.AsyncClient, make_alert: Make
) -> None:
    channel = AlertmanagerChannel("oncall", manager.url, None, client)
    later = now(make_alert, "a2", 60)
    await channel.send([now(make_alert, "a1", 60), later._replace(window_start=later.window_start + 60)])
    assert len(await manager.alerts()) == 2


async def test_an_alert_of_eternity_fires_for_a_week(
    manager: Alertmanager, client: httpx2.AsyncClient, make_alert: Make
) -> None:
    alert = now(make_alert, "a1", 0)._replace(window_end=None, period="eternity")
    await AlertmanagerChannel("oncall", manager.url, None, client).send([alert])
    [shown] = await manager.alerts()
    end = time.strptime(shown["endsAt"][:19], "%Y-%m-%dT%H:%M:%S")
    assert abs(timegm(end) - alert.raised_at - 7 * 86_400) < 2


async def test_many_alerts_are_one_call(manager: Alertmanager, client: httpx2.AsyncClient, make_alert: Make) -> None:
    alerts = [now(make_alert, f"a{number}", 60, application=f"app-{number:03}") for number in range(100)]
    await AlertmanagerChannel("oncall", manager.url, None, client).send(alerts)
    assert len(await manager.alerts()) == 100


async def test_what_it_refuses_is_a_failure(hook: Any, client: httpx2.AsyncClient, make_alert: Make) -> None:
    hook.script = [503]
    with pytest.raises(NotDelivered, match="answered 404"):
        await AlertmanagerChannel("oncall", hook.url, None, client).send([make_alert()])


async def test_a_token_goes_along_and_is_not_told(hook: Any, client: httpx2.AsyncClient, make_alert: Make) -> None:
    hook.script = [401]
    channel = AlertmanagerChannel("oncall", hook.url, "hunter2", client)
    channel._url = hook.url  # the receiver has no path of an Alertmanager
    with pytest.raises(NotDelivered, match=r"^answered 401$"):
        await channel.send([make_alert()])
    assert hook.received[0][0]["authorization"] == "Bearer hunter2"


async def test_what_is_told_when_a_window_has_ended_is_the_same_alert_resolved(
    manager: Alertmanager, client: httpx2.AsyncClient, hook: Any, make_alert: Make
) -> None:
    channel = AlertmanagerChannel("oncall", manager.url, None, client)
    full = now(make_alert, "a-100", 1, bin=100, spent=10, rejects=True, refused=2)
    await channel.send([full])
    await until(lambda: ended(hook, "firing"))
    await asyncio.sleep(max(0.0, (full.window_end or 0) - time.time()))
    await channel.send([full._replace(id="a-closed", kind="closed", refused=7, raised_at=time.time())])
    assert await manager.alerts() == []
    event = await until(lambda: ended(hook, "resolved"), 20)
    assert len(event["alerts"]) == 1
    assert event["alerts"][0]["labels"]["threshold"] == "100"


async def ended(hook: Any, status: str) -> Any:
    return next((event for event in hook.events if event["status"] == status), None)


async def test_a_forecast_is_an_alert_by_another_name(
    manager: Alertmanager, client: httpx2.AsyncClient, make_alert: Make
) -> None:
    channel = AlertmanagerChannel("oncall", manager.url, None, client)
    await channel.send([now(make_alert, "a-forecast", 60, bin=0, kind="forecast")])
    url = f"{manager.url}/api/v2/alerts"
    (shown,) = (await client.get(url)).json()
    assert (shown["labels"]["alertname"], shown["labels"]["threshold"]) == ("UsageForecast", "forecast")
