"""The provider's metadata as its file has it now: a roll-over of certificates needs no restart."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from gateway.errors import Unavailable
from gateway.sso.saml.entities import IdentityProvider
from gateway.sso.saml.metadata import MetadataRefused, load_metadata

log = logging.getLogger("gateway.sso")

RETRY_AFTER = 60  # seconds
Look = tuple[int, int, int] | None


class MetadataFile:
    """Looked at when somebody signs in or out. `clock` in Unix seconds."""

    def __init__(self, name: str, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Raises MetadataRefused."""
        self._name = name
        self._path = path
        self._clock = clock
        self._seen = self._look()
        self.provider = load_metadata(path, clock())

    async def latest(self) -> IdentityProvider:
        """What the file says, or said last where that cannot be used. Raises Unavailable when its time is over."""
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                self.provider = await asyncio.to_thread(load_metadata, self._path, self._clock())
                log.info("identity %s: metadata read again: %s", self._name, self._path)
            except MetadataRefused as error:
                text = "identity %s: the metadata of before holds on: %s %s"
                log.error(text, self._name, self._path, error)
        until = self.provider.valid_until
        if until is not None and until <= self._clock():
            log.error("identity %s: the metadata is out of date: %s", self._name, self._path)
            text = "what is known of the sign-in provider is out of date"
            raise Unavailable(text, code="provider_outdated", retry_after=RETRY_AFTER)
        return self.provider

    def _look(self) -> Look:
        """What shows a change without reading: also of a file that was replaced in the same moment."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
