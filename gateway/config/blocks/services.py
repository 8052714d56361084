"""`services:`: APIs, where they are, whom they accept, what a request uses."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from gateway.config.blocks import network as net
from gateway.config.blocks import scalars as of
from gateway.config.blocks import sizes
from gateway.config.blocks.base import Block, Named, OneOrSome, Some
from gateway.config.blocks.charging import Charge
from gateway.config.blocks.conditions import Require
from gateway.config.blocks.limits import ServiceLimit
from gateway.config.blocks.onward import READER, OnwardKeys
from gateway.config.blocks.refusals import Reason, Refusal
from gateway.config.blocks.rules import Rule
from gateway.config.blocks.scalar import one_of
from gateway.config.problems import Complaint
from gateway.model import AppId, KeyPlace, Onward


class Tls(Block):
    ca: of.FilePath | None = None
    """A private CA's certificates; the system's if left out."""
    cert: of.FilePath | None = None
    """The gateway's own certificate, then its chain."""
    key: of.FilePath | None = None
    """The key of the certificate."""
    verify_name: net.VerifyName | None = None
    """The name that a target's certificate must have, if not the target's host."""

    @model_validator(mode="after")
    def _pair(self) -> Self:
        given = self._given("cert", "key")
        if len(given) == 1:
            raise Complaint("needs both cert and key", at=(given[0],))
        return self


class Timeouts(Block):
    connect: of.Wait = 5.0
    """For a connection, with its TLS handshake."""
    response: of.Wait = 60.0
    """For the head of an answer."""
    idle: of.Wait = 60.0
    """For the next byte, either way."""


class Upstream(Block):
    targets: Some[net.TargetUrl]
    """SCHEME://HOST:PORT of each instance."""
    tls: Tls | None = None
    """How https targets are spoken to."""
    timeouts: Timeouts = Field(default_factory=Timeouts)
    """How long to wait; 5s, 60s and 60s if left out."""
    identity: Annotated[OnwardKeys | Onward, READER] = Field(default_factory=Onward)
    """What it is told of who asks: pass (credentials go on as they came), none (they are taken out), a token of the
    gateway's own, or one that the client's is exchanged for."""

    @model_validator(mode="after")
    def _tls_has_use(self) -> Self:
        if len(set(self.targets)) < len(self.targets):
            raise Complaint("names one target twice", at=("targets",))
        if self.tls is not None and not any(target.tls for target in self.targets):
            raise Complaint("is only for https targets, and there is none", at=("tls",))
        return self


class ApiKey(Block):
    header: net.Header | None = None
    """The header that carries the key."""
    query: net.QueryName | None = None
    """The query parameter that carries the key."""
    basic: Annotated[str, one_of(("username", "password"))] | None = None
    """The half of HTTP Basic credentials that carries the key."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self._given("header", "query", "basic")) != 1:
            raise Complaint("needs exactly one place for the key: header, query or basic")
        return self

    @property
    def place(self) -> KeyPlace:
        kind = self._given("header", "query", "basic")[0]
        return KeyPlace(kind, getattr(self, kind))


class AcceptLine(Block):
    jwt: of.Name | None = None
    """A provider's name: its access token as Bearer."""
    api_key: ApiKey | None = None
    """Where the client puts its key."""
    app_id: ApiKey | None = None
    """Where the client puts its application's id."""
    app_key: ApiKey | None = None
    """Where, beside app_id, it puts one of the application's keys."""
    certificate: of.Name | None = None
    """The name of those who issued the client's certificate."""
    sign_in: OneOrSome[of.Name] | None = None
    """Providers' names: people sign in at one of them, by a browser."""
    anonymous: of.Name | None = None
    """The application of those who come without any credential; alone in its line."""

    @model_validator(mode="after")
    def _any(self) -> Self:
        if not self._given("jwt", "api_key", "app_id", "app_key", "certificate", "sign_in", "anonymous"):
            raise Complaint("names no credential (jwt api_key app_id certificate sign_in anonymous)")
        if self.app_id is None and self.app_key is not None:
            raise Complaint("needs app_id: it is a key of the application that this names", at=("app_key",))
        if self.app_key is None and self.app_id is not None:
            raise Complaint("needs app_key, for applications that have keys", at=("app_id",))
        if self.anonymous is not None and self._given("jwt", "api_key", "app_id", "certificate", "sign_in"):
            raise Complaint("is for those who come without credentials; give it a line of its own", at=("anonymous",))
        return self

    @property
    def place(self) -> KeyPlace | None:
        return None if self.api_key is None else self.api_key.place

    @property
    def app(self) -> AppId | None:
        return None if self.app_id is None or self.app_key is None else AppId(self.app_id.place, self.app_key.place)


class Metric(Block):
    parent: of.Name | None = None
    """The metric that counts whatever this one counts."""


class Service(Block):
    hosts: Some[net.HostName] | None = None
    """Hosts that it answers for; any if left out."""
    path: net.ServicePath = "/"
    """Whatever is at or below it belongs to the service."""
    strip_path: of.Flag = False
    """Whether the upstream sees paths without `path`."""
    usage_path: net.ServicePath | None = None
    """Where a client reads its own usage (GET), at or below `path`; nowhere if left out."""
    max_body: sizes.Body | None = None
    """The body of a request; gateway.limits.body if left out."""
    upstream: Upstream | None = None
    """Where the requests go."""
    upstreams: Annotated[Named[Upstream], Field(min_length=1)] | None = None
    """Several, by name, instead: the first is where requests go, others are for limits that degrade to them."""
    accept: Some[AcceptLine]
    """Credentials; the first line whose credentials are all present holds."""
    metrics: Named[Metric] = Field(default_factory=dict)
    """What is counted besides `hits`, which is built in."""
    limits: dict[of.Name, Some[ServiceLimit]] = Field(default_factory=dict)
    """By metric: of all that is let in, whatever the plan. They protect the service."""
    require: Require | None = None
    """What a token must say of its user and client."""
    rules: Some[Rule]
    """Mapping rules: method, pattern and what a request uses. All that match count; a pattern is a prefix unless
    it ends with `$`."""

    refusals: dict[Reason, Refusal] = Field(default_factory=dict)
    """How clients are told that they are refused: by the code of the refusal, or by its status for all others."""

    charge: Charge | None = None
    """For which answers nothing is charged; every request that was let in is charged if left out."""

    later: ClassVar = {"policies": "leave it out"}

    @model_validator(mode="after")
    def _usage_is_inside(self) -> Self:
        base = self.path.rstrip("/")
        if self.usage_path is not None and not f"{self.usage_path}/".startswith(f"{base}/"):
            shown = self.usage_path
            raise Complaint(f"is not below the service's path, {self.path}", shown=shown, at=("usage_path",))
        return self

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        given = self._given("upstream", "upstreams")
        if not given:
            raise Complaint("says nowhere where its requests go (upstream upstreams)")
        if len(given) > 1:
            raise Complaint("is beside upstream, which is the same for one; keep one of them", at=("upstreams",))
        return self
