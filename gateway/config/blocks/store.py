"""`gateway.store`: where counters live."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Self

from pydantic import model_validator

from gateway.config.blocks import network as net
from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block, OneOrSome
from gateway.config.problems import Complaint


class Store(Block):
    url: net.StoreUrl | None = None
    """embedded (a bundled Valkey), memory (lost at the end), or the URL of a Redis or Valkey."""
    sentinel: OneOrSome[net.Server] | None = None
    """The Sentinels that know where the primary is."""
    service: of.Text | None = None
    """What the Sentinels call the primary."""
    database: of.Database | None = None
    """Its number, behind Sentinels; 0 if left out."""
    cluster: OneOrSome[net.Server] | None = None
    """Some servers of a Redis Cluster, which tell the others."""
    tls: of.Flag = False
    """Whether Sentinels and servers, or those of a cluster, are spoken to with TLS."""
    ca: of.FilePath | None = None
    """A private CA's certificates; the system's if left out."""
    cert: of.FilePath | None = None
    """The gateway's own certificate, then its chain."""
    key: of.FilePath | None = None
    """The key of the certificate."""
    username: of.Text | None = None
    """The user in the store's ACL; `default` if left out."""
    password: of.Secret | None = None
    """As file:PATH or ${NAME}."""
    sentinel_username: of.Text | None = None
    """The user in the Sentinels' own ACL; `default` if left out."""
    sentinel_password: of.Secret | None = None
    """The Sentinels' own password, as file:PATH or ${NAME}; they are not told the store's."""
    prefix: net.KeyPrefix = "gw"
    """What the gateway's keys in the store start with."""
    timeout: of.Wait = 0.05
    """How long one call may take."""
    wait: of.Replicas | None = None
    """How many replicas must have what is granted; 1 with Sentinel and Cluster, else 0, if left out."""
    fence: of.Fence = 5.0
    """How long gateways wait for each other after the store has lost data."""

    short: ClassVar = "url"

    @property
    def kind(self) -> str:
        """As the model names it."""
        if self.url is None:
            return "cluster" if self.sentinel is None else "sentinel"
        return self.url if self.url in net.LOCAL_STORES else "url"

    @property
    def encrypted(self) -> bool:
        """Whether it is spoken to with TLS."""
        return self.tls or (self.url or "").startswith("rediss:")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        kinds = self._given("url", "sentinel", "cluster")
        if not kinds:
            raise Complaint("names no store (url sentinel cluster)")
        if len(kinds) > 1:
            raise Complaint(f"cannot be beside {kinds[0]}; name one store", at=(kinds[1],))
        if self.sentinel is not None and self.service is None:
            raise Complaint("needs service: what the Sentinels call the primary", at=("sentinel",))
        for complaint in (*self._misplaced(), *self._halves()):
            raise complaint
        return self

    def _misplaced(self) -> Iterator[Complaint]:
        """What is not for a store of this kind."""
        if self.kind in net.LOCAL_STORES:
            for name in self._given("username", "password", "wait"):
                yield Complaint(f"is not for the {self.kind} store; leave it out", at=(name,))
        if self.sentinel is None:
            for name in self._given("service", "sentinel_username", "sentinel_password"):
                yield Complaint("is only for sentinel; leave it out", at=(name,))
            for name in self._given("database"):
                cure = "a URL ends with it: redis://HOST:PORT/NUMBER" if self.kind == "url" else "leave it out"
                yield Complaint(f"is only for sentinel; {cure}", at=(name,))
        if self.tls and self.url is not None:
            yield Complaint("is only for sentinel and cluster; write rediss:// in the URL", at=("tls",))
        if not self.encrypted:
            cure = "say tls: true" if self.url is None else "write rediss:// in its URL"
            for name in self._given("ca", "cert", "key"):
                yield Complaint(f"is only for a store with TLS; {cure}", at=(name,))

    def _halves(self) -> Iterator[Complaint]:
        """What is nothing without another."""
        given = self._given("cert", "key")
        if len(given) == 1:
            yield Complaint("needs both cert and key", at=(given[0],))
        for user, password in (("username", "password"), ("sentinel_username", "sentinel_password")):
            if self._given(user, password) == [user]:
                yield Complaint(f"needs {password}", at=(user,))
