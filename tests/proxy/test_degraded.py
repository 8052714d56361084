"""What a limit degrades is served by another upstream of the service, on the same connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rigs.proxy import OpenGate, answering, proxy_before, read_answer

from gateway.errors import GatewayError
from gateway.gate import Admission, Ask
from gateway.model import Limit, Outcome, Over, Period, Route, Service, Verdict

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LIMIT = Limit(plan="gold", period=Period.ETERNITY, value=1, over=Over.DEGRADE, upstream="cheap")


class Degrading(OpenGate):
    """Sends every second request to `cheap`."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.asked = 0

    def admit(self, ask: Ask, route: Route, done: Callable[[Admission | GatewayError], None]) -> Admission | None:
        admission = super().admit(ask, route, done)
        assert admission is not None
        self.asked += 1
        if self.asked % 2:
            return admission
        return admission.replace(Outcome(Verdict.GRANTED, LIMIT, 0), "cheap")


async def test_each_request_goes_to_the_upstream_that_its_admission_names() -> None:
    main = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmain")
    cheap = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ncheap")
    async with proxy_before(main) as proxy, proxy_before(cheap) as other:
        (service,) = proxy.server.pools
        proxy.server.swap(Degrading(service), {service: proxy.pool, (service, "cheap"): other.pool})
        reader, writer = await proxy.connect()
        answers = []
        for _ in range(4):
            writer.write(GET)
            answers.append(await read_answer(reader))
        writer.close()
        assert [answer.rpartition(b"\r\n")[2] for answer in answers] == [b"main", b"cheap", b"main", b"cheap"]
        assert b'\r\nratelimit: "hits-eternity";r=0\r\n' in answers[1]
        records = await proxy.recorded(4)
        assert [(record.reason, record.limit) for record in records[:2]] == [
            ("ok", None),
            ("degraded", "hits-eternity"),
        ]
        proxy.server.swap(proxy.gate, {service: proxy.pool})
        await asyncio.sleep(0)
