"""What a token costs, and what remembering tokens costs: `python benchmarks/tokens.py`. Microseconds of CPU time, the
best of many rounds; megabytes as tracemalloc counts them.
"""

import asyncio
import gc
import json
import time
import tracemalloc
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.devkit.provider import Client, Provider
from gateway.devkit.provider_app import provider_app
from gateway.devkit.servers import listener, port_of, serving
from gateway.errors import GatewayError
from gateway.identity.cache import TOKENS
from gateway.identity.passport import Passport
from gateway.model import Accept, Oidc, Service, Target, Upstream
from gateway.store.marks import MemoryMarks
from gateway.store.memory_records import MemoryRecords
from gateway.store.replays import Replays

ROUNDS = 15
FEW, MANY = 200, 10_000  # tokens that are verified, and times that one is recognised, in a round
URL = "https://api.example.com/orders"
SERVICE = Service(
    name="orders",
    upstream=Upstream(name="default", targets=(Target(False, "127.0.0.1", 9000),)),
    accept=(Accept(jwt="keycloak"),),
    rules=(),
)


class Ask:
    """A request."""

    method, path, query, origin, peer = b"GET", b"/orders", b"", b"https://api.example.com", "192.0.2.1"
    certificate = None
    own_cookies = ()

    def __init__(self, authorization: str, proof: bytes | None = None) -> None:
        self._fields = {b"authorization": [authorization.encode()], b"dpop": [] if proof is None else [proof]}

    def header(self, name: bytes) -> list[bytes]:
        return self._fields.get(name, [])


def best(work: Callable[[], int]) -> float:
    """µs of one; `work` says how many it did."""

    def once() -> float:
        begun = time.process_time()
        done = work()
        return (time.process_time() - begun) / done * 1e6

    return min(once() for _ in range(ROUNDS))


class Holder:
    """Who has a key, and proves it."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._private.public_key()))
        self._jwk = {name: public[name] for name in ("crv", "kty", "x", "y")}
        self._made = 0

    @property
    def cnf(self) -> dict[str, str]:
        return {"jkt": digest(json.dumps(self._jwk, separators=(",", ":")).encode())}

    def ask(self, token: str) -> Ask:
        self._made += 1
        claims = {"jti": f"{self._made}", "htm": "GET", "htu": URL, "iat": time.time(), "ath": digest(token.encode())}
        proof = jwt.encode(claims, self._private, "ES256", {"typ": "dpop+jwt", "jwk": self._jwk})
        return Ask(f"DPoP {token}", proof.encode())


def digest(data: bytes) -> str:
    return urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()


class Bench:
    def __init__(self, passport: Passport, provider: Provider, marks: MemoryMarks) -> None:
        self._passport, self._provider, self._marks = passport, provider, marks
        self._number = 0

    def tokens(self, count: int, client: str = "rsa", **claims: Any) -> Iterator[str]:
        for _ in range(count):
            self._number += 1
            yield self._provider.token(client, sid=f"{self._number}", **claims)

    def identify(self, asks: list[Ask]) -> int:
        for ask in asks:
            with suppress(GatewayError):
                self._passport.identify(SERVICE, ask, print)
        return len(asks)

    def hit(self, *, changes: bool = False) -> float:
        ask, identify, marks = Ask(f"Bearer {next(self.tokens(1))}"), self._passport.identify, self._marks

        def work() -> int:
            for number in range(MANY):
                if changes and number % 100 == 0:
                    marks.version += 1
                identify(SERVICE, ask, print)
            return MANY

        identify(SERVICE, ask, print)
        return best(work)

    def miss(self, client: str) -> float:
        rounds = [[Ask(f"Bearer {token}") for token in self.tokens(FEW, client)] for _ in range(ROUNDS)]
        return best(lambda: self.identify(rounds.pop()))

    def refusal(self, change: Callable[[str], str] = str, **claims: Any) -> float:
        (token,) = self.tokens(1, **claims)
        asks = [Ask(f"Bearer {change(token)}")] * FEW
        return best(lambda: self.identify(asks))

    async def proof(self) -> float:
        """With the answer of the store, here of this process."""
        holder = Holder()
        (token,) = self.tokens(1, cnf=holder.cnf, typ="DPoP")
        costs = []
        for _ in range(ROUNDS):
            asks, left = [holder.ask(token) for _ in range(FEW)], asyncio.Semaphore(0)
            release = left.release
            begun = time.process_time()
            for ask in asks:
                self._passport.identify(SERVICE, ask, lambda _, release=release: release())
            for _ in asks:
                await left.acquire()
            costs.append((time.process_time() - begun) / FEW * 1e6)
        return min(costs)

    def memory(self) -> tuple[float, float]:
        """MB after as many tokens as are remembered, and after twice as many."""
        gc.collect()
        tracemalloc.start()
        found = []
        for _ in range(2):
            for token in self.tokens(TOKENS, "ec"):
                self._passport.identify(SERVICE, Ask(f"Bearer {token}"), print)
            gc.collect()
            found.append(tracemalloc.get_traced_memory()[0] / 1e6)
        tracemalloc.stop()
        return found[0], found[1]


async def main() -> None:
    sock = listener()
    clients = Client(id="rsa"), Client(id="ec", algorithm="ES256")
    provider = Provider(f"http://127.0.0.1:{port_of(sock)}/realms/demo", clients)
    marks, records = MemoryMarks(time.time, lambda row: None), MemoryRecords(lambda: time.time() + 60)
    records._since = 0.0
    oidc = Oidc(name="keycloak", issuer=provider.issuer, audience=("gateway",))
    async with serving(provider_app(provider), sock):
        passport = Passport({"keycloak": oidc}, (), marks=marks, replays=Replays(records))
        await passport.start()
        gc.freeze()
        gc.set_threshold(20_000, 50, 50)  # as a worker has it
        bench = Bench(passport, provider, marks)
        size = len(next(bench.tokens(1)))
        print(f"a token of {size} bytes")
        print(f"recognised                                {bench.hit():7.2f} µs")
        print(f"recognised, a mark changes each 100       {bench.hit(changes=True):7.2f} µs")
        print(f"verified, RS256                           {bench.miss('rsa'):7.1f} µs")
        print(f"verified, ES256                           {bench.miss('ec'):7.1f} µs")
        print(f"recognised, with a DPoP proof by ES256    {await bench.proof():7.1f} µs")
        print(f"refused: expired                          {bench.refusal(lifespan=-100):7.1f} µs")
        print(f"refused: a signature that does not verify {bench.refusal(lambda t: t[:-8] + 'AAAAAAAA'):7.1f} µs")
        print(f"refused: no token                         {bench.refusal(lambda t: t[:-1]):7.1f} µs")
        once, twice = bench.memory()
        print(f"{TOKENS} remembered                          {once:7.1f} MB; after as many again {twice:.1f} MB")
        await passport.close()


if __name__ == "__main__":
    asyncio.run(main())
