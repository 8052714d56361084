"""`plans:`, `accounts:` and `applications:`: what is allowed, and to whom."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block, Named, Some
from gateway.config.blocks.conditions import Match, Require
from gateway.config.blocks.keys import APP_KEYS, AppId, ApplicationKey
from gateway.config.blocks.ledger_down import WORD, LedgerDown
from gateway.config.blocks.limits import Limit, OverLimit
from gateway.config.blocks.moments import Days, Moment
from gateway.config.blocks.over import Behaviour
from gateway.config.blocks.pricing import Pricing
from gateway.config.blocks.rules import PathPattern
from gateway.config.blocks.scalar import Json, one_of
from gateway.config.blocks.validity import Valid
from gateway.config.problems import Complaint
from gateway.model import AccountState, Down, Each, Over, State


class PlanAlerts(Block):
    at: Some[of.Percent] | None = None
    """Percentages of each limit at which an alert is raised; 80 and 100 if left out. Above 100 for `over: allow`."""
    to: Some[of.Name] | None = None
    """Channels, besides the log."""
    forecast: of.Flag = False
    """Whether it is told, once for a window of a day or longer, that at this rate all will be used before it ends."""


class Plan(Block):
    extends: of.Name | None = None
    """A plan of which it has all that it does not say itself. A limit of the same metric, period, time zone and `per`
    stands for that plan's."""
    services: Some[of.Name] | None = None
    """The services that it opens."""
    allow: Named[Some[PathPattern]] = Field(default_factory=dict)
    """By service, what of it is open; whatever has a rule if left out."""
    limits: dict[of.Metered, Some[Limit]] = Field(default_factory=dict)
    """By metric: over all services of the plan together, or as `service.metric` for one of them."""
    over: OverLimit = Behaviour(Over.REJECT)
    """What happens over its limits, unless a limit says otherwise."""
    require: Require | None = None
    """What a token must say of its user and client."""
    ledger_down: Annotated[LedgerDown | Down, WORD] = Field(default_factory=Down)
    """What happens while usage cannot be counted: closed (503), open (let in, counted later), or local: a share of each
    limit, divided among the gateways."""
    pricing: Pricing | None = None
    """What its use costs, for `gateway usage cost`."""
    alerts: PlanAlerts = Field(default_factory=PlanAlerts)
    """When and whom to tell how far limits are used."""

    @model_validator(mode="after")
    def _opens(self) -> Self:
        if not self._given("services", "extends"):
            raise Complaint("opens no services, and extends no plan that does (services extends)")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        reference = super().__get_pydantic_json_schema__(schema, handler)
        handler.resolve_ref_schema(reference)["anyOf"] = [{"required": ["services"]}, {"required": ["extends"]}]
        return reference


class Contact(Block):
    email: of.Email | None = None
    """Whom to write to."""


class Account(Block):
    contact: Contact = Field(default_factory=Contact)
    """Who owns applications."""
    state: Annotated[AccountState, one_of(AccountState, (), AccountState)] = AccountState.LIVE
    """live, or disabled: none of its applications is served."""
    plans: Some[of.Name] | None = None
    """Plans that hold for all its applications, and whose limits are theirs together; no two for the same service."""


class Application(Block):
    account: of.Name | None = None
    """Its owner."""
    plans: Some[of.Name] | None = None
    """Its plans; no two of them for the same service. May be left out where its account has some."""
    limits: dict[of.Metered, Some[Limit]] = Field(default_factory=dict)
    """Limits of its own, by metric: each stands for that of its plans which counts the same, and keeps the usage."""
    exempt: Some[of.Text] | None = None
    """Limits of its plans that do not hold for it, such as hits/month."""
    client_ids: Some[of.Text] | None = None
    """Clients whose tokens (`azp`) belong to it."""
    api_keys: Some[ApplicationKey] | None = None
    """Digests of its keys, or blocks that say when and whence they serve."""
    app_id: AppId | None = None
    """Its public id, for services that accept app_id."""
    app_keys: Annotated[Some[ApplicationKey], Field(max_length=APP_KEYS)] | None = None
    """Digests of the keys of which one must come beside app_id; none is asked for if left out."""
    certificates: Named[Some[of.Text]] = Field(default_factory=dict)
    """By the name of who issued them, the names of its certificates, with * for any part."""
    match: Match | None = None
    """Which other clients' tokens belong to it."""
    each: Annotated[Each, one_of(Each, (), Each)] = Each.SHARED
    """Who has counters of their own: client, user, address, or all together (shared)."""
    state: Annotated[State, one_of(State, (), State)] = State.LIVE
    """Only a live application is served."""
    valid: Valid | None = None
    """When it is served; always if left out."""
    since: Moment | None = None
    """When its trial began."""
    trial: Days | None = None
    """How long after `since` it is served, and not charged for."""

    @model_validator(mode="after")
    def _trial_begins(self) -> Self:
        if self.trial is not None and self.since is None:
            raise Complaint("needs since: when it began", at=("trial",))
        if self.since is not None and self.trial is None:
            raise Complaint("is for a trial, and there is none; say trial: 30d, or use valid", at=("since",))
        return self

    @model_validator(mode="after")
    def _id_of_keys(self) -> Self:
        if self.app_keys is not None and self.app_id is None:
            raise Complaint("needs app_id: the id that they come beside", at=("app_keys",))
        return self

    @property
    def can_be_found(self) -> bool:
        """Whether there are credentials that belong to it."""
        return bool(self._given("client_ids", "api_keys", "app_id", "match") or self.certificates)
