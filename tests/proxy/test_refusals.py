"""A service's clients are refused in its own words, and the log says the same reason and the status that was sent."""

from __future__ import annotations

from rigs.proxy import echo, proxy_before

from gateway.errors import Forbidden, NotFound
from gateway.http.refusals import split
from gateway.model import Refusal

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
WORDS = {
    "no_plan": Refusal(402, "application/json", split('{"error": "{code} at {service}"}')),
    "403": Refusal(None, "text/plain", split("no ({code})")),
    "no_rule": Refusal(410, None, split("gone")),
}


async def test_the_code_goes_before_the_status() -> None:
    async with proxy_before(echo, refusals=WORDS) as proxy:
        proxy.gate.refusal = Forbidden("no", code="no_plan")
        answer = await proxy.talk(GET)
        assert answer.startswith(b"HTTP/1.1 402 Payment Required\r\ncontent-type: application/json\r\n")
        assert answer.endswith(b'\r\n\r\n{"error": "no_plan at echo"}')
        proxy.gate.refusal = Forbidden("no", code="no_application")
        answer = await proxy.talk(GET)
        assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert answer.endswith(b"\r\n\r\nno (no_application)")
        records = await proxy.recorded(2)
        assert [(record.status, record.reason) for record in records] == [(402, "no_plan"), (403, "no_application")]


async def test_a_service_words_that_none_of_its_rules_matches() -> None:
    async with proxy_before(echo, refusals=WORDS) as proxy:
        error = NotFound("nothing", code="no_rule")
        (error.service,) = proxy.server.pools

        def route(ask: object) -> None:
            raise error

        proxy.gate.route = route
        answer = await proxy.talk(GET)
        assert answer.startswith(b"HTTP/1.1 410 Gone\r\ncontent-type: text/plain; charset=utf-8\r\n")
        assert answer.endswith(b"\r\n\r\ngone")
