"""What a file may say, as pydantic models: one block of YAML, one class."""

from __future__ import annotations

from pydantic import Field

from gateway.config.blocks.base import Block, Named
from gateway.config.blocks.channels import Alerting
from gateway.config.blocks.gateway import Gateway, Provider
from gateway.config.blocks.plans import Account, Application, Plan
from gateway.config.blocks.scalars import Version
from gateway.config.blocks.services import Service


class File(Block):
    version: Version = "1"
    """Of this format."""
    gateway: Gateway = Field(default_factory=Gateway)
    """The process: where it listens, where it counts."""
    identity: Named[Provider] = Field(default_factory=dict)
    """Who proves who a client is."""
    alerts: Alerting = Field(default_factory=Alerting)
    """Where alerts go."""
    services: Named[Service] = Field(default_factory=dict)
    """The APIs."""
    plans: Named[Plan] = Field(default_factory=dict)
    """What clients may do, and how much."""
    accounts: Named[Account] = Field(default_factory=dict)
    """Who owns applications."""
    applications: Named[Application] = Field(default_factory=dict)
    """The clients, and their plans."""
