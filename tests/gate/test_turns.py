"""Requests over a limit wait for their turn: first come, first served, not for ever, and not too many."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rigs.timers import Timers

from gateway.errors import GatewayError, OverLimit, Unavailable
from gateway.gate import Admission, Gate, Turns
from gateway.gate.queue import Turn
from gateway.model import (
    Accept,
    Application,
    Charge,
    Charging,
    Config,
    Identity,
    Kind,
    Limit,
    Measure,
    Outcome,
    Over,
    Period,
    Plan,
    Rule,
    Service,
    Target,
    Upstream,
    Verdict,
)
from gateway.quota.counters import UNAVAILABLE
from gateway.quota.memory import MemoryLedger
from gateway.routing.router import compile_router

NOON = 4_102_747_200.0  # 2100-01-04T12:00:00Z

ORDERS = Service(
    name="orders",
    upstream=Upstream(name="orders", targets=(Target(False, "orders", 80),)),
    accept=(Accept(jwt="keycloak"),),
    rules=(
        Rule(method="GET", pattern="/", usage={"hits": 1}),
        Rule(method="POST", pattern="/", usage={"hits": 2}),
        Rule(method="PUT", pattern="/", usage={"hits": 1, "writes": 1}),
        Rule(
            method="PATCH", pattern="/", usage={"tokens": 60}, measures=(Measure("tokens", "json", "usage.total", 60),)
        ),
    ),
)


SECONDS_2 = {"plan": "gold", "over": Over.WAIT, "wait": 2.0, "places": 100}


def rate(value: int, burst: int = 1, **more: Any) -> Limit:
    return Limit(kind=Kind.RATE, period=Period.SECOND, value=value, burst=burst, **(SECONDS_2 | more))


def at_once(value: int, **more: Any) -> Limit:
    return Limit(kind=Kind.CONCURRENT, period=Period.ETERNITY, value=value, **(SECONDS_2 | more))


def window(value: int, period: Period = Period.MINUTE, **more: Any) -> Limit:
    return Limit(period=period, value=value, **(SECONDS_2 | more))


class Request:
    host, path, query, peer, certificate = b"a", b"/", b"", "192.0.2.1", None

    def __init__(self, method: bytes) -> None:
        self.method = method
        self.turn: Turn | None = None
        self.gone = False
        self.answer: Admission | GatewayError | None = None
        self.answered = 0.0

    def leave(self) -> None:
        """As the proxy does for a client that goes away."""
        self.gone = True
        if self.turn is not None:
            self.turn.leave()

    @property
    def told(self) -> str:
        """What the client gets, and after how long a wait."""
        assert self.answer is not None
        code = "ok" if isinstance(self.answer, Admission) else self.answer.code
        return code if self.turn is None else f"{code} {self.turn.seconds:.2f}"


class Passport:
    def identify(self, service: Service, ask: Any, done: Callable[[Any], None]) -> Identity:
        return Identity(subject="alice", client_id="mobile-app")


class Late:
    """A ledger that answers 10 ms later, as one that has to ask its store. What `says` has is said instead."""

    def __init__(self, ledger: MemoryLedger, timers: Timers) -> None:
        self._ledger, self._timers = ledger, timers
        self._claims: dict[Any, Any] = {}
        self.says: list[Outcome] = []

    def claim(self, scope: str, charges: tuple[Charge, ...]) -> Any:
        return self._claims.setdefault((scope, charges), self._ledger.claim(scope, charges))

    def consume(self, claim: Any, done: Callable[[Outcome], None]) -> None:
        def tell() -> None:
            done(self.says.pop(0) if self.says else self._ledger.consume(claim, done))

        self._timers.call_later(0.01, tell)


class Scene:
    """A gate whose time stands still until `turn_to`, in seconds after noon."""

    def __init__(self, *limits: Limit, late: bool = False, free: tuple[str, ...] = ()) -> None:
        """`free`: statuses of answers that cost nothing."""
        self.service = replace(ORDERS, charge=Charging(except_status=free))
        self.timers = Timers()
        memory = MemoryLedger(self.clock, lambda alert: None)
        self.ledger: Any = Late(memory, self.timers) if late else memory
        self.ends: list[tuple[str, float]] = []
        self.turns = Turns(self.ledger, self.timers, self.clock, lambda how, s: self.ends.append((how, round(s, 2))))
        self.gate = self.made(*limits)

    def made(self, *limits: Limit) -> Gate:
        config = Config(
            services={"orders": self.service},
            plans={"gold": Plan(name="gold", services=("orders",), limits=limits)},
            applications={"mobile": Application(name="mobile", plans=("gold",), client_ids=("mobile-app",))},
        )
        return Gate(
            config,
            compile_router([self.service]),
            Passport(),
            self.ledger,
            {},
            lambda *_: b"",
            turns=self.turns,
            clock=self.clock,
        )

    def clock(self) -> float:
        return NOON + self.timers.now

    def ask(self, method: bytes = b"GET") -> Request:
        request: Any = Request(method)

        def hear(answer: Admission | GatewayError) -> None:
            assert request.answer is None, "answered twice"
            request.answer, request.answered = answer, self.timers.now
            if request.gone:
                end(request)

        try:
            admission = self.gate.admit(request, self.gate.route(request), hear)
        except GatewayError as error:
            hear(error)
        else:
            if admission is not None:
                hear(admission)
        return request  # type: ignore[no-any-return]


def end(request: Request, **used: int) -> None:
    """Its answer has gone, and has used so much."""
    if isinstance(request.answer, Admission) and request.answer.outcome is not None and request.answer.outcome.hold:
        request.answer.outcome.hold.settle(used)


def one_more(scene: Scene) -> Request:
    """Asked, and answered soon."""
    request = scene.ask()
    scene.timers.turn_to(scene.timers.now + 0.02)
    return request


def told(requests: Iterable[Request]) -> list[str]:
    return [request.told for request in requests]


def test_a_rate_is_kept_by_waiting() -> None:
    scene = Scene(rate(2))
    requests = [scene.ask() for _ in range(4)]
    assert [request.answer is not None for request in requests] == [True, False, False, False]
    assert scene.turns.waiting == 3
    scene.timers.turn_to(5.0)
    assert told(requests) == ["ok", "ok 0.50", "ok 1.00", "ok 1.50"]
    assert (scene.turns.waiting, scene.ends) == (0, [("granted", 0.5), ("granted", 1.0), ("granted", 1.5)])


def test_who_comes_later_is_served_later_even_where_there_would_be_enough() -> None:
    scene = Scene(rate(2, burst=2))
    order = [scene.ask(b"POST"), scene.ask(b"POST"), scene.ask(b"GET")]  # a GET needs half as much
    scene.timers.turn_to(0.6)
    order.append(scene.ask(b"GET"))
    scene.timers.turn_to(5.0)
    assert told(order) == ["ok", "ok 1.00", "ok 1.50", "ok 1.40"]
    assert [request.answered for request in order] == sorted(request.answered for request in order)


def test_who_cannot_have_a_turn_in_time_is_refused_at_once() -> None:
    scene = Scene(rate(2))
    requests = [scene.ask() for _ in range(7)]
    refused = requests[4].answer
    assert isinstance(refused, OverLimit)
    assert (refused.code, refused.outcome.retry_after) == ("over_limit", 1)
    scene.timers.turn_to(5.0)
    assert told(requests) == ["ok", "ok 0.50", "ok 1.00", "ok 1.50", "over_limit", "over_limit", "over_limit"]


def test_a_window_that_ends_in_time_is_waited_for_and_another_is_not() -> None:
    scene = Scene(window(2))
    early = [scene.ask() for _ in range(3)]
    assert told(early) == ["ok", "ok", "over_limit"]
    assert isinstance(early[2].answer, OverLimit)
    assert early[2].answer.outcome.retry_after == 60
    scene.timers.turn_to(58.5)
    late = [scene.ask() for _ in range(3)]
    scene.timers.turn_to(70.0)
    assert told(late) == ["ok 1.50", "ok 1.50", "over_limit 1.50"]  # the next window ends too late
    assert isinstance(late[2].answer, OverLimit)
    assert late[2].answer.outcome.retry_after == 60


def test_a_permit_that_comes_back_is_the_first_one_s() -> None:
    scene = Scene(at_once(1))
    first, second, third = (scene.ask() for _ in range(3))
    scene.timers.turn_to(0.7)
    end(first)
    scene.timers.turn_to(0.71)
    assert (told([first, second]), third.answer) == (["ok", "ok 0.70"], None)
    late = scene.ask()
    end(second)
    scene.timers.turn_to(1.0)
    assert (third.told, late.answer) == ("ok 0.71", None)
    scene.timers.turn_to(9.0)
    assert late.told == "over_limit 2.00"
    assert isinstance(late.answer, OverLimit)
    assert late.answer.outcome.retry_after == 1


def test_what_an_answer_does_not_cost_is_the_first_one_s_that_waits() -> None:
    """Of a month that has just begun: only what comes back can help."""
    scene = Scene(window(2, Period.MONTH), free=("5xx",))
    first, second, third, fourth = (scene.ask() for _ in range(4))
    assert (third.answer, fourth.answer) == (None, None)
    scene.timers.turn_to(0.7)
    end(first)  # it was answered 503
    scene.timers.turn_to(0.7)
    assert (third.told, fourth.answer) == ("ok 0.70", None)
    end(second, hits=1)
    end(third, hits=1)
    scene.timers.turn_to(1.0)
    assert fourth.told == "over_limit 0.70"  # nothing is under way any more, so that nothing can come back
    assert scene.turns.waiting == 0


def test_what_an_answer_leaves_of_its_reserve_wakes_those_that_wait_for_it() -> None:
    scene = Scene(window(100, Period.MONTH, metric="tokens"))
    first, second, third = (scene.ask(b"PATCH") for _ in range(3))
    assert [request.answer is not None for request in (first, second, third)] == [True, False, False]
    scene.timers.turn_to(0.3)
    end(first, tokens=10)  # 90 are left, which is enough for one more
    scene.timers.turn_to(0.3)
    assert (second.told, third.answer) == ("ok 0.30", None)
    scene.timers.turn_to(0.9)
    end(second, tokens=30)
    scene.timers.turn_to(0.9)
    assert third.told == "ok 0.90"
    end(third, tokens=60)
    assert scene.ask(b"PATCH").told == "over_limit"


def test_what_is_spent_more_than_was_reserved_lets_nobody_in() -> None:
    scene = Scene(window(100, Period.MONTH, metric="tokens"))
    first, second = scene.ask(b"PATCH"), scene.ask(b"PATCH")
    scene.timers.turn_to(0.3)
    end(first, tokens=75)
    scene.timers.turn_to(9.0)
    assert second.told == "over_limit 0.30"


def test_a_client_that_goes_away_leaves_the_queue() -> None:
    scene = Scene(rate(2))
    scene.ask()
    gone, next_one = scene.ask(), scene.ask()
    gone.leave()
    scene.timers.turn_to(5.0)
    assert (gone.answer, next_one.told) == (None, "ok 0.50")
    assert scene.ends == [("left", 0.0), ("granted", 0.5)]


def test_what_was_granted_to_who_has_gone_meanwhile_is_the_next_one_s_or_given_back() -> None:
    scene = Scene(at_once(1), late=True)
    first = scene.ask()
    scene.timers.turn_to(0.02)
    gone, next_one = scene.ask(), scene.ask()
    scene.timers.turn_to(0.5)
    end(first)
    scene.timers.turn_to(0.5)  # the ledger is asked for the first that waits
    gone.leave()
    scene.timers.turn_to(0.6)
    assert (gone.answer, scene.turns.waiting) == (None, 0)
    assert next_one.told == "ok 0.49"  # as soon as the ledger answers the one that has gone
    gone = scene.ask()
    scene.timers.turn_to(1.0)
    end(next_one)
    scene.timers.turn_to(1.0)
    gone.leave()
    scene.timers.turn_to(1.1)
    assert isinstance(one_more(scene).answer, Admission)


def test_what_is_granted_to_who_came_later_is_passed_on_to_who_waits() -> None:
    scene = Scene(at_once(1), late=True)
    first = scene.ask()
    scene.timers.turn_to(0.1)
    second = scene.ask()
    scene.timers.turn_to(0.105)
    third = scene.ask()  # the ledger has not said yet that the second has to wait
    scene.timers.turn_to(0.112)
    end(first)
    scene.timers.turn_to(0.5)
    assert (second.told, third.answer) == ("ok 0.01", None)


def test_who_went_away_before_it_came_to_waiting_does_not_wait() -> None:
    scene = Scene(rate(2), late=True)
    scene.ask()
    gone = scene.ask()
    gone.leave()
    scene.timers.turn_to(1.0)
    assert (gone.turn, scene.turns.waiting) == (None, 0)


def test_not_too_many_wait_at_one_counter() -> None:
    scene = Scene(at_once(1, places=2))
    requests = [scene.ask() for _ in range(4)]
    refused = requests[3].answer
    assert isinstance(refused, OverLimit)
    assert (refused.status, refused.code, refused.outcome.retry_after) == (429, "too_many_waiting", 1)
    assert scene.ends == [("full", 0.0)]


def test_not_too_many_wait_in_all() -> None:
    scene = Scene(at_once(1))
    scene.turns.places = 1
    assert [request.answer and request.told for request in (scene.ask(), scene.ask(), scene.ask())] == [
        "ok",
        None,
        "too_many_waiting",
    ]


def test_what_can_never_be_is_refused_at_once() -> None:
    scene = Scene(rate(5, burst=1))
    scene.ask(), scene.ask()
    assert scene.ask(b"POST").told == "over_limit"  # costs more than the burst


def test_a_limit_that_rejects_is_not_waited_for() -> None:
    scene = Scene(rate(2), Limit(plan="gold", period=Period.YEAR, value=2))
    requests = [scene.ask() for _ in range(3)]
    scene.timers.turn_to(5.0)
    assert told(requests) == ["ok", "ok 0.50", "over_limit 0.50"]


def test_a_request_may_wait_at_one_limit_and_then_at_another() -> None:
    scene = Scene(rate(2), at_once(1, metric="writes"))
    writes = [scene.ask(b"PUT"), scene.ask(b"PUT")]
    read = scene.ask(b"GET")
    scene.timers.turn_to(1.2)
    assert (writes[1].answer, read.told) == (None, "ok 0.50")  # nobody is held up by who waits elsewhere
    end(writes[0])
    scene.timers.turn_to(1.21)
    assert writes[1].told == "ok 1.20"


def test_who_waits_elsewhere_goes_before_those_who_came_later() -> None:
    scene = Scene(rate(1), at_once(1, metric="writes"))
    first, second = scene.ask(b"PUT"), scene.ask(b"PUT")
    scene.timers.turn_to(0.9)
    end(first)
    scene.timers.turn_to(0.95)
    third = scene.ask(b"GET")
    scene.timers.turn_to(9.0)
    assert told([second, third]) == ["ok 1.00", "ok 1.05"]


def test_while_the_store_is_away_the_plan_s_ledger_down_decides() -> None:
    scene = Scene(rate(2), late=True)
    scene.ask()
    requests = [scene.ask(), scene.ask()]
    scene.timers.turn_to(0.1)
    scene.ledger.says = [UNAVAILABLE, Outcome(Verdict.GRANTED)]
    scene.timers.turn_to(1.0)
    assert isinstance(requests[0].answer, Unavailable)
    assert requests[0].answer.code == "ledger_down"
    assert isinstance(requests[1].answer, Admission)


def test_the_time_ends_while_the_ledger_is_asked_and_its_answer_counts() -> None:
    scene = Scene(at_once(1, wait=0.065), late=True)
    first = scene.ask()
    scene.timers.turn_to(0.02)
    waits = scene.ask()
    scene.timers.turn_to(0.086)
    assert waits.answer is None
    end(first)
    scene.timers.turn_to(0.2)
    assert isinstance(waits.answer, Admission)


def test_at_a_stop_nobody_waits_for_longer_than_half_of_it() -> None:
    scene = Scene(at_once(1))
    scene.ask()
    long = scene.ask()
    scene.timers.turn_to(1.5)
    short = scene.ask()
    scene.turns.drain(2.0)
    late = scene.ask()
    scene.timers.turn_to(9.0)
    assert told([long, short, late]) == ["over_limit 2.00", "over_limit 1.00", "over_limit 1.00"]


def test_another_version_of_the_plan_goes_on_with_the_queue() -> None:
    scene = Scene(rate(2))
    requests = [scene.ask(), scene.ask()]
    scene.gate = scene.made(rate(4))
    requests.append(scene.ask())
    scene.timers.turn_to(5.0)
    assert told(requests) == ["ok", "ok 0.25", "ok 0.50"] or told(requests) == ["ok", "ok 0.50", "ok 0.75"]


def test_what_is_over_is_degraded_where_that_limit_is_and_waits_where_that_one_is() -> None:
    scene = Scene(window(1, Period.YEAR, over=Over.DEGRADE, upstream="cheap"), at_once(1, metric="writes"))
    first, second = scene.ask(b"PUT"), scene.ask(b"PUT")
    assert isinstance(first.answer, Admission)
    scene.timers.turn_to(0.3)
    end(first)
    scene.timers.turn_to(0.4)
    assert isinstance(second.answer, Admission)
    assert (second.told, second.answer.upstream) == ("ok 0.30", "cheap")


def test_requests_of_plans_that_do_not_wait_do_not_come_here() -> None:
    scene = Scene(Limit(plan="gold", period=Period.YEAR, value=1))
    scene.turns = None  # type: ignore[assignment]
    assert told([scene.ask(), scene.ask()]) == ["ok", "over_limit"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from([b"GET", b"POST", b"PUT"])),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.004, 0.013, 0.2, 0.5, 1.0, 2.5])),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("drain"), st.sampled_from([0.5, 1.5])),
    ),
    max_size=60,
)
LIMITS = st.sampled_from(
    [
        (rate(5, burst=2),),
        (rate(3, burst=3), at_once(2, metric="writes", wait=1.0, places=2)),
        (at_once(3, places=3),),
        (window(3, Period.SECOND), at_once(2)),
        (window(5, Period.SECOND), rate(4, burst=2, metric="writes"), at_once(4)),
    ]
)


USES = {b"GET": {"hits": 1}, b"POST": {"hits": 2}, b"PUT": {"hits": 1, "writes": 1}}


class Play:
    """Does what it is told in steps, and looks after each that no more is under way than may be."""

    def __init__(self, limits: tuple[Limit, ...], *, late: bool) -> None:
        self.scene = Scene(*limits, late=late)
        self.requests: list[Request] = []
        self.ended: set[Request] = set()
        self._at_once = [limit for limit in limits if limit.kind is Kind.CONCURRENT]

    @property
    def admitted(self) -> list[Request]:
        """As they were let in."""
        found = [request for request in self.requests if isinstance(request.answer, Admission)]
        return sorted(found, key=lambda request: request.answered)

    @property
    def under_way(self) -> list[Request]:
        return [request for request in self.admitted if not request.gone and request not in self.ended]

    def do(self, what: str, how: Any) -> None:
        if what == "ask":
            self.requests.append(self.scene.ask(how))
        elif what == "wait":
            self.scene.timers.turn_to(self.scene.timers.now + how)
        elif what == "drain":
            self.scene.turns.drain(how)
        elif what == "leave":
            waiting = [request for request in self.requests if request.answer is None and not request.gone]
            for request in waiting[how : how + 1]:
                request.leave()
        else:
            for request in self.under_way[how : how + 1]:
                self.ended.add(request)
                end(request)
        for limit in self._at_once:
            assert units(self.under_way, limit) <= limit.value

    def to_the_end(self) -> None:
        for _ in self.requests:
            self.do("wait", 3.0)
            while self.under_way:
                self.do("end", 0)


def units(requests: Iterable[Request], limit: Limit) -> int:
    return sum(USES[request.method].get(limit.metric, 0) for request in requests)


def is_kept(limit: Limit, admitted: list[Request]) -> bool:
    """Whether no more was let in, in any stretch of time, than may be."""
    if limit.kind is Kind.RATE:
        stretches = itertools.combinations_with_replacement(range(len(admitted)), 2)
        return all(
            units(admitted[first : last + 1], limit)
            <= limit.value * (admitted[last].answered - admitted[first].answered) + limit.burst + 1e-5
            for first, last in stretches
        )
    if limit.kind is Kind.WINDOW:
        seconds = itertools.groupby(admitted, lambda request: int(request.answered))
        return all(units(some, limit) <= limit.value for _, some in seconds)
    return True


@settings(max_examples=150, deadline=None)
@given(LIMITS, STEPS, st.booleans())
def test_no_more_is_let_in_than_may_be_and_everybody_is_answered_in_time_and_in_order(
    limits: tuple[Limit, ...], steps: list[tuple[str, Any]], late: bool
) -> None:
    play = Play(limits, late=late)
    for what, how in steps:
        play.do(what, how)
    play.to_the_end()
    assert play.scene.turns.waiting == 0
    assert all(request.gone or request.answer is not None for request in play.requests)
    assert all(request.turn is None or request.turn.seconds <= 2.011 for request in play.requests)
    assert all(is_kept(limit, play.admitted) for limit in limits)
    alike = len({request.method for request in play.requests}) == 1  # what is being asked may be passed on then
    if len(limits) == 1 and (alike or not late):
        assert play.admitted == [request for request in play.requests if request in play.admitted]
    play.scene.timers.turn_to(play.scene.timers.now + 60.0)
    fresh = min(limit.burst or limit.value for limit in limits)
    later = [play.scene.ask(b"PUT") for _ in range(fresh)]
    play.scene.timers.turn_to(play.scene.timers.now + 0.1)
    assert all(isinstance(request.answer, Admission) for request in later)  # nothing is kept for anybody
