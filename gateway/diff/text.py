"""A difference for people: grouped, a line each, applications that change alike together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.diff.difference import Change, Difference, Effect, Item, Kind, Over
from gateway.quota.backup import written

SHOWN = 3  # names before "and 7 more"
SIGNS = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.CHANGED: "~"}


def text(difference: Difference, over: Sequence[Over] | None) -> str:
    """`over` None: nobody has looked."""
    sections: list[list[str]] = [
        ["gateway", *map(_change, difference.gateway)] if difference.gateway else [],
        *(
            [section, *_items(difference.items, section)]
            for section in dict.fromkeys(item[0] for item in difference.items)
        ),
        ["applications", *_applications(difference)] if difference.applications else [],
        ["note", *(f"  {note}" for note in _notes(difference))],
        [] if over is None else ["over the new limit at once", *(map(_over, over) if over else ["  nobody"])],
    ]
    return "\n".join(line for section in sections if len(section) > 1 for line in section)


def _notes(difference: Difference) -> Iterator[str]:
    if difference.restart:
        yield f"a reload does not take this, but a restart: {', '.join(difference.restart)}"
    yield from difference.notes


def _items(items: Sequence[Item], section: str) -> Iterator[str]:
    for item in (item for item in items if item.section == section):
        whom = f"  (of {names(item.for_)})" if item.for_ else ""
        yield f"  {SIGNS[item.kind]} {item.name}{whom}"
        yield from (f"  {_change(change)}" for change in item.changes)


def _applications(difference: Difference) -> Iterator[str]:
    alike: dict[Effect, list[str]] = {}
    for name, effect in difference.applications:
        alike.setdefault(effect, []).append(name)
    for effect, whose in alike.items():
        yield f"  {SIGNS[effect.kind]} {names(whose)}"
        yield from (f"      {line}" for line in _effect(effect))


def _effect(effect: Effect) -> Iterator[str]:
    yield from (_change(change).strip() for change in effect.changes)
    yield from (f"may call {endpoint}" for endpoint in effect.gained)
    yield from (f"may no longer call {endpoint}" for endpoint in effect.lost)
    for limit in effect.limits:
        yield f"limit {limit.kind}: {_change(Change(limit.limit, limit.before, limit.after)).strip()}"
    yield from (f"starts at 0: {counter.limit} ({counter.why})" for counter in effect.fresh)


def _change(change: Change) -> str:
    match change:
        case (what, None, None):
            return f"    {what}: changed (secret)"
        case (what, None, after):
            return f"    {what}: + {after}"
        case (what, before, None):
            return f"    {what}: - {before}"
    return f"    {change.what}: {change.before} → {change.after}"


def _over(over: Over) -> str:
    until = "for ever" if over.resets_at is None else f"until {written(over.resets_at)}"
    was = "was not there" if over.before is None else f"was {over.before}"
    return f"  {over.scope}: {over.spent} of {over.after} {over.limit} ({over.plan}; the limit {was}), {until}"


def names(of: Sequence[str]) -> str:
    """Some of them, and how many more."""
    more = len(of) - SHOWN
    return ", ".join(of) if more <= 1 else f"{', '.join(of[:SHOWN])} and {more} more"


def data(value: Any) -> Any:
    """For JSON: what has names is an object."""
    if hasattr(value, "_asdict"):
        return {name: data(item) for name, item in value._asdict().items()}
    return [data(item) for item in value] if isinstance(value, tuple) else value


def document(difference: Difference, over: Sequence[Over] | None) -> dict[str, Any]:
    """All of it, as one JSON object."""
    applications = [{"name": name, **data(effect)} for name, effect in difference.applications]
    told = {**data(difference), "applications": applications, "different": bool(difference)}
    return told if over is None else {**told, "over": [data(each) for each in over]}
