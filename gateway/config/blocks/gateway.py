"""`gateway:` and `identity:`: the process itself, and who proves who a client is."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from gateway.config.blocks import network as net
from gateway.config.blocks import scalars as of
from gateway.config.blocks import sizes
from gateway.config.blocks.base import Block, OneOrSome, Some
from gateway.config.blocks.client_certificates import ClientCertificates
from gateway.config.blocks.listen import Listener
from gateway.config.blocks.onward import IdentityTokens
from gateway.config.blocks.saml import Saml
from gateway.config.blocks.scalar import one_of
from gateway.config.blocks.sign_on import SignIn, SignOn
from gateway.config.blocks.store import Store
from gateway.config.problems import Complaint
from gateway.model import MAX_BODY, ClientLimits, ClientTimeouts

_LIMITS, _TIMEOUTS = ClientLimits(), ClientTimeouts()


class Limits(Block):
    target: sizes.Target = _LIMITS.target
    """A request's target, as sent."""
    head: sizes.Head = _LIMITS.head
    """The head of a request."""
    fields: of.Fields = _LIMITS.fields
    """Fields of a request."""
    body: sizes.Body = MAX_BODY
    """The body of a request, where its service says nothing."""
    min_rate: sizes.Flow = _LIMITS.min_rate
    """How slowly bodies may come, and answers be read, in the long run."""
    connections: of.Connections = _LIMITS.connections
    """Connections of clients, in each worker."""
    client_connections: of.Connections | None = None
    """Connections of one address, in each worker; half of all if left out."""
    requests: of.Connections = _LIMITS.requests
    """Requests on one connection, before it is closed."""
    invalid_credentials: sizes.Tolerance = _LIMITS.invalid_credentials
    """Refused credentials from one address, before unknown ones are not looked at."""
    memory: sizes.Watermark = _LIMITS.memory
    """Above it requests are refused: a share of what the container may take, or bytes of a worker."""
    waiting: of.Connections = _LIMITS.waiting
    """Requests that wait for their turn at limits of plans, in each worker."""


class Timeouts(Block):
    head: of.Wait = _TIMEOUTS.head
    """For the head of a request."""
    body: of.Wait = _TIMEOUTS.body
    """Without progress in a request's body."""
    write: of.Wait = _TIMEOUTS.write
    """Without progress in reading the answer."""
    keep_alive: of.Wait = _TIMEOUTS.keep_alive
    """Between requests."""
    connection_age: of.Wait = _TIMEOUTS.connection_age
    """Until a connection gets its last answer."""


class Drain(Block):
    timeout: of.Duration = 30.0
    """How long requests in flight may take at a stop."""
    delay: of.Duration = 0.0
    """How long traffic is still taken after readiness has failed, until balancers have noticed."""

    short: ClassVar = "timeout"


class Gateway(Block):
    listen: OneOrSome[Listener] | None = None
    """Where clients connect; 0.0.0.0:8080 if left out."""
    admin: net.Listen | None = None
    """Where probes and metrics are served; 127.0.0.1:8081 if left out."""
    workers: of.Workers = 1
    """Processes that carry traffic; auto: one for each core."""
    data: of.FilePath | None = None
    """The folder of what the gateway keeps; ./data of the working directory if left out."""
    store: Store | None = None
    """Where counters live; embedded if left out."""
    drain: Drain = Field(default_factory=Drain)
    """How a stop goes; a lone duration is its timeout."""
    trusted_proxies: OneOrSome[net.Network] | None = None
    """Whose word on who the client is holds."""
    client_certificate: Annotated[str, one_of(("client_cert", "xfcc"))] | None = None
    """In which field these tell of their client's certificate: Client-Cert (RFC 9440) or X-Forwarded-Client-Cert."""
    limits: Limits = Field(default_factory=Limits)
    """What clients may take."""
    timeouts: Timeouts = Field(default_factory=Timeouts)
    """How long clients may take."""
    identity_tokens: IdentityTokens | None = None
    """The gateway's own tokens, for services that are told by one who asks."""
    sign_on: SignOn = Field(default_factory=SignOn)
    """Sessions and pages of people who sign in by a browser."""

    @model_validator(mode="after")
    def _told_by_somebody(self) -> Self:
        if self.client_certificate is not None and not self.trusted_proxies:
            raise Complaint("needs trusted_proxies: nobody else is believed", at=("client_certificate",))
        return self


class Introspection(Block):
    client_id: of.Text
    """As which client the gateway asks."""
    client_secret: of.Secret
    """Its secret, as file:PATH or ${NAME}."""
    tokens: OneOrSome[Annotated[str, one_of(("opaque", "lightweight", "all"))]] = Field(
        default=["opaque", "lightweight"]
    )
    """Which are asked about: opaque ones, lightweight ones (without an audience), or all."""
    max_age: of.Belief = 30.0
    """How long an answer is believed."""

    @model_validator(mode="after")
    def _all_is_all(self) -> Self:
        if "all" in self.tokens and len(self.tokens) > 1:
            raise Complaint("says all, and more; all is enough", at=("tokens",))
        return self


class ClientCredentials(Block):
    client_id: of.Text
    """A client of the provider."""
    client_secret: of.Secret
    """Its secret, as file:PATH or ${NAME}."""


class Dpop(Block):
    use: Annotated[str, one_of(("allowed", "required", "off"))] = "allowed"
    """Whether tokens may be bound to a key, must be, or must not."""
    algorithms: Some[of.Algorithm] | None = None
    """Signature algorithms of proofs; all asymmetric ones if left out."""
    max_age: of.Belief = 60.0
    """How old a proof may be."""
    nonce: of.Flag = False
    """Whether a proof must have a nonce that the gateway gave in the last minutes."""

    short: ClassVar = "use"


class Oidc(Block):
    issuer: net.Url
    """The `iss` of the tokens, letter by letter, and where the provider is found."""
    audience: OneOrSome[of.Text]
    """What a token's `aud` must name; any one of these."""
    algorithms: Some[of.Algorithm] | None = None
    """Signature algorithms; the asymmetric ones that the provider publishes if left out."""
    internal_url: net.Url | None = None
    """Where the gateway reaches the provider, if not at the issuer's URL."""
    ca: of.FilePath | None = None
    """A private CA's certificates."""
    exchange: ClientCredentials | None = None
    """As which client the gateway exchanges tokens for services."""
    clients: ClientCredentials | None = None
    """As which client, with a service account, `gateway clients` makes and changes clients of Keycloak."""
    sign_in: SignIn | None = None
    """The gateway's client there, for people who sign in by a browser."""
    introspection: Introspection | None = None
    """Asks the provider about tokens that do not tell all themselves."""
    dpop: Dpop = Field(default_factory=Dpop)
    """Tokens that are bound to a key by DPoP."""

    @model_validator(mode="after")
    def _fits_its_url(self) -> Self:
        if self.ca is not None and not (self.internal_url or self.issuer).startswith("https:"):
            raise Complaint("is only for https, and the provider is reached by http", at=("ca",))
        if self.clients is not None and not re.search(r"/realms/[^/]+/?$", self.internal_url or self.issuer):
            raise Complaint("is for realms of Keycloak alone, whose issuer ends with /realms/NAME", at=("clients",))
        return self


class Provider(Block):
    oidc: Oidc | None = None
    """An OpenID Connect provider, such as a realm of Keycloak."""
    certificate: ClientCertificates | None = None
    """Those who issue clients' certificates."""
    saml: Saml | None = None
    """A provider that signs people in by SAML 2.0."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if len(self._given("oidc", "certificate", "saml")) != 1:
            raise Complaint("needs exactly one kind (oidc certificate saml)")
        return self
