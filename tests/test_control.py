"""How a configuration goes from process to process."""

from __future__ import annotations

from dataclasses import replace

from gateway.control import PIECE, pack, unpack
from gateway.model import Accept, Config, KeyPlace, Plan, Rule, Service, Target, Upstream


def service(name: str) -> Service:
    return Service(
        name=name,
        path=f"/{name}",
        upstream=Upstream(name=name, targets=(Target(False, "127.0.0.1", 9),)),
        accept=(Accept(api_key=KeyPlace("header", "x-api-key")),),
        rules=(Rule(method="GET", pattern="/", usage={"hits": 1}),),
    )


def test_it_arrives_whole_and_in_order_however_many_services_it_has() -> None:
    for count in (0, 1, PIECE, PIECE + 1, 3 * PIECE):
        services = {name: service(name) for name in (f"s-{number}" for number in reversed(range(count)))}
        sent = replace(Config(workers=2), services=services, plans={"free": Plan(name="free", services=())})
        found = unpack(pack(sent))
        assert repr(found) == repr(sent)  # services are told apart by identity
        assert list(found.services) == list(services)
