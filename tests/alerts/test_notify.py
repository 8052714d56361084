"""Services that apprise speaks to: here its `json` service, a receiver on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from gateway.alerts.channels import NotDelivered
from gateway.model import Alert

pytest.importorskip("apprise", reason="needs plangate[notify]")

from gateway.alerts.notify import NotifyChannel

Make = Callable[..., Alert]


def url(hook: Any) -> str:
    """As apprise wants it, with a secret in its query that it sends as a header."""
    return hook.url.replace("http://", "json://") + "?+X-Token=hunter2"


async def test_a_service_is_told_a_title_and_a_text(hook: Any, make_alert: Make) -> None:
    await NotifyChannel("chat", url(hook)).send([make_alert("a1"), make_alert("a2", application="other")])
    [(headers, _)] = hook.received
    assert hook.events[0]["title"] == "2 alerts of 2 applications"
    assert "other: hits per minute: 8/10 (80 %)" in hook.events[0]["message"]
    assert headers["x-token"] == "hunter2"


async def test_a_service_that_fails_is_a_failure_that_tells_nothing(
    hook: Any, make_alert: Make, caplog: pytest.LogCaptureFixture
) -> None:
    hook.script = [500]
    caplog.set_level(logging.DEBUG)
    with pytest.raises(NotDelivered) as caught:
        await NotifyChannel("chat", url(hook)).send([make_alert()])
    assert str(caught.value) == "not taken by the service"
    assert "hunter2" not in caplog.text


async def test_where_nobody_listens_it_is_a_failure(make_alert: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(NotDelivered):
        await NotifyChannel("chat", "json://127.0.0.1:1/hunter2").send([make_alert()])
    assert "hunter2" not in caplog.text
