"""`gateway.listen`: where clients connect, and how they are spoken to there."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from gateway.config.blocks import network as net
from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block, Some
from gateway.config.problems import Complaint


class Hsts(Block):
    max_age: of.MaxAge
    """For how long browsers come by https alone."""
    include_subdomains: of.Flag = False
    """Whether to all hosts below it too."""

    short: ClassVar = "max_age"


class Certificate(Block):
    cert: of.FilePath
    """A certificate, then its chain."""
    key: of.FilePath
    """Its key."""


class Tls(Block):
    cert: of.FilePath | None = None
    """The certificate, then its chain."""
    key: of.FilePath | None = None
    """The key of the certificate."""
    certificates: Some[Certificate] | None = None
    """Several, by the names that clients ask for; the first for all others."""
    client_ca: of.FilePath | None = None
    """The certificates of those who issue clients' certificates; nobody is asked for one if left out."""
    client_certificate: of.ClientCertificate | None = None
    """Whether a client must show one; required if left out."""
    min_version: of.TlsVersion = "1.2"
    """The oldest version of TLS that is spoken."""
    hsts: Hsts | None = None
    """Strict-Transport-Security, on all answers."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if given := self._given("cert", "key"):
            if self.certificates is not None:
                raise Complaint(
                    "is beside certificates, which is the same for several; keep one of them", at=(given[0],)
                )
            if len(given) == 1:
                raise Complaint("needs both cert and key", at=(given[0],))
        elif self.certificates is None:
            raise Complaint("needs cert and key, or certificates")
        if self.client_certificate is not None and self.client_ca is None:
            raise Complaint("needs client_ca, by which it is verified", at=("client_certificate",))
        return self


class Listener(Block):
    address: net.Listen
    """Address and port."""
    tls: Tls | None = None
    """How it speaks TLS; plain HTTP if left out."""
    proxy_protocol: of.Flag = False
    """Whether each connection starts with a PROXY header, of one of trusted_proxies."""
    redirect_to_https: of.Redirect = None
    """Whether clients are sent to https instead of being served; its port, where that is not 443."""

    short: ClassVar = "address"

    @model_validator(mode="after")
    def _redirects_from_http(self) -> Self:
        if self.redirect_to_https is not None and self.tls is not None:
            raise Complaint("is for listeners without tls", at=("redirect_to_https",))
        return self
