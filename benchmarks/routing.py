"""What routing costs a request: `python benchmarks/routing.py`. Microseconds of CPU time, the best of many rounds."""

import time
import timeit
from collections.abc import Callable
from functools import partial

from gateway.http.path import normalise
from gateway.model import HITS, Accept, Rule, Service, Target, Upstream
from gateway.routing.router import Router, compile_router

UPSTREAM = Upstream(name="up", targets=(Target(False, "127.0.0.1", 9000),))
RESOURCES = ("orders", "customers", "items", "invoices", "payments", "carts")
METRICS = {HITS: None, "reads": HITS, "writes": HITS}


def rules() -> tuple[Rule, ...]:
    """Twenty: prefixes for two methods, and a few with variables, an exact one and a query."""

    def rule(method: str, pattern: str, metric: str, *, last: bool = False) -> Rule:
        return Rule(method=method, pattern=pattern, usage={metric: 1}, last=last)

    made = [rule("GET", "/api/v1/status$", "reads", last=True)]
    for name in RESOURCES:
        made += [rule("GET", f"/api/v1/{name}", "reads"), rule("POST", f"/api/v1/{name}", "writes")]
    made += [rule("GET", f"/api/v1/{name}/{{id}}/lines", "reads") for name in RESOURCES]
    return (*made, rule("GET", "/api/v1/items?expand={what}", "reads"))


def service(number: int) -> Service:
    host, path = f"api{number // 10}.example.com", f"/api{number % 10}" if number else "/"
    return Service(
        name=f"s{number}", hosts=(host,), path=path, upstream=UPSTREAM, accept=(Accept(jwt="k"),),
        metrics=METRICS, rules=rules(),
    )  # fmt: skip


def microseconds(*calls: Callable[[], object], number: int = 2_000, rounds: int = 40) -> list[float]:
    """CPU time of a call of each, in turns, because machines vary by the moment."""
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for n, call in enumerate(calls):
            best[n] = min(best[n], timeit.timeit(call, timer=time.process_time, number=number) / number * 1e6)
    return best


def asked(router: Router, target: bytes) -> Callable[[], object]:
    path, query = normalise(target)
    return lambda: router.route(b"GET", b"api0.example.com", path, query)


def main() -> None:
    one, many = compile_router([service(0)]), compile_router(service(n) for n in range(1000))
    print(f"{'route':42}{'1 service':>12}{'1,000':>8}{'ratio':>7}")
    for target in (b"/api/v1/customers/7", b"/api/v1/orders/7/lines", b"/api/v1/items?page=2", b"/api/v1/status"):
        small, large = microseconds(asked(one, target), asked(many, target))
        print(f"{target.decode():42}{small:12.2f}{large:8.2f}{large / small:7.2f}")
    (compiled,) = microseconds(lambda: compile_router(service(n) for n in range(1000)), number=1, rounds=5)
    print(f"compile 1,000 services of 20 rules: {compiled / 1e6:.2f} s")
    for target in (b"/api/v1/customers/7/lines?page=2", b"/caf%c3%a9/%7e", b"/a/../b"):
        print(f"normalise {target.decode():32}{microseconds(partial(normalise, target))[0]:12.2f}")


if __name__ == "__main__":
    main()
