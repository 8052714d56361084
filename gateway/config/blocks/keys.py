"""A key of an application: its digest, and what bounds its use."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import Field

from gateway.config.blocks import network as net
from gateway.config.blocks import scalars as of
from gateway.config.blocks.base import Block, OneOrSome
from gateway.config.blocks.moments import Moment
from gateway.config.blocks.scalar import Scalar, matching
from gateway.model import ApiKey

REFERRERS = APP_KEYS = 5  # as 3scale

REFERRER = "a page's origin such as https://*.example.com"

_LABELS = r"[A-Za-z0-9*](?:[A-Za-z0-9.*-]*[A-Za-z0-9*])?(?::[0-9]{1,5})?"
_REFERRER = rf"(?:https?://)?{_LABELS}(?:/[!-\[\]-~]*)?"


def referrer(text: str) -> str:
    """As it is; raises ValueError for what is none."""
    if not re.fullmatch(_REFERRER, text, re.ASCII) or len(text) > 255:
        raise ValueError(text)
    return text


Referrer = Annotated[
    str,
    Scalar(REFERRER, referrer, {"type": "string", "pattern": f"^{_REFERRER}$"}),
]
AppId = Annotated[
    str,
    Scalar("an id of at most 255 printable ASCII characters", matching("[!-~]{1,255}"), {"type": "string"}),
]


class ApplicationKey(Block):
    key: of.KeyDigest
    """The key's digest; `gateway keys create` prints it."""
    name: of.Text | None = None
    """What people call it."""
    expires: Moment | None = None
    """When it ends: a date (its beginning in UTC), or a time; never if left out."""
    addresses: OneOrSome[net.Network] | None = None
    """Where its clients are; anywhere if left out."""
    referrers: Annotated[OneOrSome[Referrer], Field(max_length=REFERRERS)] | None = None
    """Pages that may use it, by Referer or Origin, with * for any part; any if left out."""

    short: ClassVar = "key"

    @property
    def built(self) -> ApiKey:
        return ApiKey(
            self.key,
            self.name,
            self.expires,
            tuple(self.addresses or ()),
            tuple(self.referrers or ()),
        )
