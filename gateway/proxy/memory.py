"""How near the memory in use is to what may be used, of the container (cgroup v2 or v1) or of the worker alone; and
what is given back."""

from __future__ import annotations

import ctypes
import gc
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from resource import getpagesize
from typing import NamedTuple

from gateway.model import Memory

log = logging.getLogger("gateway.memory")

RELAX = 0.95  # of the mark: below it requests are taken again
RELIEF = 10.0  # seconds between attempts to give memory back to the system
MANY = 200  # clients that may have needed so much memory that it is worth giving back
NO_LIMIT = 1 << 60  # cgroup v1 says about 2^63 where there is none


class Group(NamedTuple):
    """A control group that limits memory. `cache` is the line of `stat` with what the kernel can drop at once."""

    limit: int
    usage: Path
    stat: Path
    cache: str

    def used(self) -> int:
        """Bytes in use; what the kernel keeps of files only aside, as Kubernetes counts."""
        lines = (line.split() for line in self.stat.read_text().splitlines())
        dropped = next((int(value) for name, value in lines if name == self.cache), 0)
        return max(0, int(self.usage.read_text()) - dropped)


class MemoryWatch:
    """Call `is_high` about once a second. Without a limit, or where the system does not tell, memory is never high."""

    def __init__(
        self, limit: Memory | None, *, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`root` holds /proc and /sys."""
        self._statm = root / "proc/self/statm"
        self._group: Group | None = None
        self._clock = clock
        self._relieved = float("-inf")
        self._high = False
        self.mark = 0  # bytes; 0: none
        if limit is not None and limit.size is not None:
            self.mark = limit.size
        elif limit is not None:
            self._group = min(groups(root), key=lambda group: group.limit, default=None)
            self.mark = 0 if self._group is None else self._group.limit * limit.percent // 100

    def is_high(self) -> bool:
        """Whether requests should be refused; tries to give memory back while that is so."""
        if not self.mark:
            return False
        try:
            used = self._resident() if self._group is None else self._group.used()
        except (OSError, ValueError):
            return False
        was, self._high = self._high, used >= self.mark * (RELAX if self._high else 1)
        if self._high and self._clock() - self._relieved >= RELIEF:
            self._relieved = self._clock()
            relieve()
        if was is not self._high:
            text = "memory is high, requests are refused" if self._high else "memory is back below its mark"
            log.warning("%s: %d MiB in use, the mark is %d MiB", text, used >> 20, self.mark >> 20)
        return self._high

    def _resident(self) -> int:
        return int(self._statm.read_text().split()[1]) * getpagesize()


def groups(root: Path) -> Iterator[Group]:
    """The groups that this process is in and that limit memory, from the innermost."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if not controllers:
            yield from _limited(root / "sys/fs/cgroup", name, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            files = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
            yield from _limited(root / "sys/fs/cgroup/memory", name, *files)


def _limited(mount: Path, name: str, limit: str, usage: str, cache: str) -> Iterator[Group]:
    """A group and those around it. In a container the mount may begin at the group itself."""
    path = PurePosixPath(name.lstrip("/"))
    for folder in (mount / path, *(mount / parent for parent in path.parents)):
        try:
            text = (folder / limit).read_text().strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < NO_LIMIT:
            yield Group(int(text), folder / usage, folder / "memory.stat", cache)


class Relief:
    """Gives memory back to the system once most of many clients have gone. Call `look` about once a second."""

    def __init__(
        self, give_back: Callable[[], None] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._give_back = trim if give_back is None else give_back
        self._clock = clock
        self._given = float("-inf")
        self._most = 0  # clients at one time, since then

    def look(self, clients: int) -> None:
        self._most = max(self._most, clients)
        if self._most >= MANY and clients * 2 < self._most and self._clock() - self._given >= RELIEF:
            self._given, self._most = self._clock(), clients
            self._give_back()


def relieve() -> None:
    """Collect what is unreachable, and give free pages back."""
    gc.collect()
    trim()


def trim() -> None:
    """Give free pages back, which the C library keeps (glibc only): some 10 ms for 100 MB."""
    release = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if release is not None:
        release(0)
