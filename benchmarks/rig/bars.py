"""Bars in groups as an SVG that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

WIDTH, LEFT, RIGHT, BAR, GAP = 860, 210, 70, 16, 30
OWN, OTHERS = "#1f5fa8", "#a9b4c0"


def bars(groups: Mapping[str, Mapping[str, float]], own: str, digits: int = 1) -> str:
    """Each group has its heading, and a bar for each name; all by one scale. Names that begin with `own` stand out."""
    most = max(value for group in groups.values() for value in group.values())
    parts, top = [], 0.0
    for heading, group in groups.items():
        top += GAP
        parts.append(f'<text x="{LEFT}" y="{top - 8}" font-weight="bold">{escape(heading)}</text>')
        for name, value in group.items():
            parts.append(_bar(top, name, value, (WIDTH - LEFT - RIGHT) * value / most, name.startswith(own), digits))
            top += BAR + 3
    frame = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 10:.0f}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{top + 10:.0f}" fill="white"/>'
    )
    return "\n".join((frame, *parts, "</svg>\n"))


def _bar(top: float, name: str, value: float, length: float, own: bool, digits: int) -> str:
    return (
        f'<text x="{LEFT - 8}" y="{top + 12}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{OWN if own else OTHERS}"/>'
        f'<text x="{LEFT + length + 6:.1f}" y="{top + 12}">{value:,.{digits}f}</text>'
    )
