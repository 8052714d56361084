"""The file of a back-up: JSON, a line each. A header, the counters, and an end that says how many there are.

{"usage": 1, "prefix": "gw", "time": "2026-07-01T09:30:00.123456Z", "epochs": [1782898200000]}
{"scope": "mobile", "plan": "gold", "service": null, "metric": "hits", "period": "month", "zone": "UTC",
 "start": "2026-07-01T00:00:00Z", "end": "2026-08-01T00:00:00Z", "spent": 812, "topped": 0, "raised": [80],
 "epoch": 1782898200000, "version": 77}
{"end": 1}

Units in hand of gateways (`held`) are not in it: they are theirs to use or to return, whenever it is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gateway.model import Period
from gateway.quota.counters import LARGEST
from gateway.quota.periods import Window, window, zone_of
from gateway.store.keys import TAG, Counted

FORMAT = 1
LONGEST_LINE = 64 * 1024  # characters; the longest tag takes 200


class Header(NamedTuple):
    """Where and when a back-up was made: `time` is the store's (Unix seconds), `epochs` of each of its servers."""

    prefix: str
    time: float
    epochs: tuple[int, ...]


class Saved(NamedTuple):
    """A counter in a back-up. `epoch` and `version` say how late in the store's life it was so; `raised`: bins."""

    name: Counted
    window: Window
    spent: int
    topped: int
    raised: tuple[int, ...]
    epoch: int
    version: int


class BackupError(Exception):
    """A file that is no back-up. The message has the line's number, what is wrong, and what helps."""


def window_of(name: Counted) -> Window | None:
    """The window that a counter's name says; None if there is none that begins then."""
    try:
        period = Period(name.period)
        here = window(period, name.zone, name.start)
    except (ValueError, OverflowError, OSError):
        return None
    fits = zone_of(period, name.zone) == name.zone and int(here.start) == name.start
    return here if fits else None


# --- writing


def header_line(header: Header) -> str:
    text = {"usage": FORMAT, "prefix": header.prefix, "time": written(header.time), "epochs": list(header.epochs)}
    return json.dumps(text)


def line(saved: Saved) -> str:
    """A counter's line."""
    name, here = saved.name, saved.window
    text = {
        "scope": name.tag,
        "plan": name.plan,
        "service": name.service or None,
        "metric": name.metric,
        "period": name.period,
        "zone": name.zone,
        "start": written(name.start),
        "end": None if here.end is None else written(here.end),
        **{field: getattr(saved, field) for field in UNITS},
        "raised": list(saved.raised),
    }
    return json.dumps(text)


def end_line(counters: int) -> str:
    return json.dumps({"end": counters})


def written(at: float) -> str:
    """Unix seconds in RFC 3339."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


# --- reading

UNITS = ("spent", "topped", "epoch", "version")
FIELDS = {"scope", "plan", "service", "metric", "period", "zone", "start", "end", "raised", *UNITS}


def read(lines: Iterable[bytes]) -> Iterator[Saved]:
    """The counters of a whole back-up, in its order; raises BackupError for the first thing that is wrong.

    What has been given before an error is not to be used: only at the end is it known that nothing is missing.
    """
    numbered = enumerate(lines, 1)
    _read(numbered, header_of, "a back-up begins with its header")
    counters = 0
    for number, text in numbered:
        found = _parsed(number, text, counter_or_end)
        if isinstance(found, Saved):
            counters += 1
            yield found
        elif found != counters:
            raise _wrong(number, f"there are {counters} counters, not {found}: lines are missing or were added")
        else:
            for number_after, text_after in numbered:
                if text_after.strip():
                    raise _wrong(number_after, "something follows the end; a file holds one back-up")
            return
    raise _wrong(counters + 2, "the back-up is cut off here: its end is missing")


def read_header(text: bytes) -> Header:
    """The first line of a back-up; raises BackupError."""
    header: Header = _parsed(1, text, header_of)
    return header


def header_of(data: dict[str, Any]) -> Header:
    """Raises ValueError."""
    if "usage" not in data:
        raise ValueError("this is no header of a back-up; make one with `gateway usage export`")
    if data["usage"] != FORMAT:
        raise ValueError(f"the back-up is of format {data['usage']!r}; this gateway reads {FORMAT}")
    _require_fields(data, {"usage", "prefix", "time", "epochs"})
    return Header(
        _text(data, "prefix"), _time(data, "time"), tuple(_whole(epoch, "epochs") for epoch in _list(data, "epochs"))
    )


def counter_or_end(data: dict[str, Any]) -> Saved | int:
    """Raises ValueError."""
    if "end" in data and len(data) == 1:
        return _whole(data["end"], "end")
    _require_fields(data, FIELDS)
    if not TAG.fullmatch(_text(data, "scope")):
        raise ValueError(
            "scope: it is no hash tag; characters other than letters, digits and _.-/@+ are written as %3A"
        )
    plan, metric, period, zone = (_text(data, field) for field in ("plan", "metric", "period", "zone"))
    service = "" if data["service"] is None else _text(data, "service")
    name = Counted(data["scope"], plan, service, metric, period, zone, int(_time(data, "start")))
    here = window_of(name)
    if here is None:
        raise ValueError(f"start: no {name.period} in the zone {name.zone} begins at {data['start']}")
    if data["end"] != (None if here.end is None else written(here.end)):
        raise ValueError(f"end: this {name.period} ends {'never' if here.end is None else written(here.end)}")
    raised = tuple(_whole(bin_, "raised") for bin_ in _list(data, "raised"))
    return Saved(name, here, raised=raised, **{field: _whole(data[field], field) for field in UNITS})


def _read(numbered: Iterator[tuple[int, bytes]], parse: Callable[[dict[str, Any]], Any], missing: str) -> Any:
    for number, text in numbered:
        return _parsed(number, text, parse)
    raise _wrong(1, f"the file is empty; {missing}")


def _parsed(number: int, text: bytes, parse: Callable[[dict[str, Any]], Any]) -> Any:
    try:
        if len(text) > LONGEST_LINE:
            raise ValueError(f"it has more than {LONGEST_LINE} bytes")
        data = json.loads(text.decode())
        if not isinstance(data, dict):
            raise ValueError("it is no JSON object")
        return parse(data)
    except UnicodeDecodeError:
        raise _wrong(number, "it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _wrong(number, f"it is not JSON ({error.msg} at column {error.colno})") from None
    except RecursionError:
        raise _wrong(number, "it is no line of a back-up") from None
    except ValueError as error:
        raise _wrong(number, str(error)) from None


def _wrong(number: int, why: str) -> BackupError:
    return BackupError(f"line {number}: {why}")


def _require_fields(data: dict[str, Any], fields: set[str]) -> None:
    if missing := sorted(fields - data.keys()):
        raise ValueError(f"{', '.join(missing)}: missing")
    if unknown := sorted(data.keys() - fields):
        raise ValueError(f"{', '.join(unknown)}: not a field of this format")


def _text(data: dict[str, Any], field: str) -> str:
    value = data[field]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{field}: {value!r:.60} is not a name")
    return value


def _list(data: dict[str, Any], field: str) -> list[Any]:
    value = data[field]
    if not isinstance(value, list):
        raise ValueError(f"{field}: {value!r:.60} is not a list")
    return value


def _whole(value: Any, field: str) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise ValueError(f"{field}: {value!r:.60} is not a whole number from 0 to 2^53")
    return value


def _time(data: dict[str, Any], field: str) -> float:
    try:
        at = datetime.fromisoformat(_text(data, field))
        if at.tzinfo is None:
            raise ValueError
        return at.timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{field}: {data[field]!r:.60} is not a time such as 2026-07-01T00:00:00Z") from None
