"""The process's own log (starts, reloads, warnings): JSON lines through the standard `logging`."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime

_standard = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}
# Up to the last @ before a space, a quote or an (escaped) line's end: a password may hold unescaped delimiters.
_userinfo = re.compile(r"""([A-Za-z][A-Za-z0-9+.-]{0,20}://)(?:[^\s"\\]|\\[^n])*@""")


def redact(text: str) -> str:
    """`text` (plain or JSON) without URLs' credentials: `redis://user:word@host` becomes `redis://***@host`."""
    return _userinfo.sub(r"\1***@", text)


class JsonFormatter(logging.Formatter):
    """A record as one line: time, level, logger, message, whatever `extra` adds, and the traceback of an error."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, pure ASCII."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {name: value for name, value in record.__dict__.items() if name not in _standard}
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return redact(json.dumps(fields, default=str))


class LineHandler(logging.Handler):
    """Hands each line to `write`, which must not block."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a record that cannot be formatted is told to `handleError`."""
        try:
            self._write(self.format(record).encode("ascii") + b"\n")
        except Exception:  # logging's rule: a log call never raises
            self.handleError(record)


def log_to(write: Callable[[bytes], object], level: int | str = "INFO") -> None:
    """Send all logging of this process to `write`, in place of what was set up before."""
    handler = LineHandler(write)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger("httpx2").setLevel("WARNING")  # it logs every URL, and a hook's path may be a secret
