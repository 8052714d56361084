"""Lines over time as an SVG that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, GAP = 860, 150, 60, 34
COLOURS = ("#1f5fa8", "#b5521b", "#2f7d32", "#6a3d9a")


def lines(minutes: Sequence[float], series: Mapping[str, Sequence[float]]) -> str:
    """One band for each series, each from zero, over the same time."""
    height = (HEIGHT + GAP) * len(series) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for place, (name, values) in enumerate(series.items()):
        parts.append(_band(GAP + place * (HEIGHT + GAP), name, minutes, values, COLOURS[place % len(COLOURS)]))
    parts.append(f'<text x="{WIDTH - 10}" y="{height - 8}" text-anchor="end">{minutes[-1]:.0f} minutes</text></svg>')
    return "\n".join(parts) + "\n"


def _band(top: float, name: str, minutes: Sequence[float], values: Sequence[float], colour: str) -> str:
    most = max(*values, 1.0)
    end = minutes[-1] or 1.0
    points = " ".join(
        f"{LEFT + (WIDTH - LEFT - 10) * minute / end:.1f},{top + HEIGHT * (1 - value / most):.1f}"
        for minute, value in zip(minutes, values, strict=True)
    )
    told = f"{name}: {min(values):,.1f} to {max(values):,.1f}, {values[-1]:,.1f} at the end"
    return (
        f'<text x="{LEFT}" y="{top - 8}">{told}</text>'
        f'<path d="M{LEFT} {top} V{top + HEIGHT} H{WIDTH - 10}" fill="none" stroke="#999"/>'
        f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{most:,.0f}</text>'
        f'<text x="{LEFT - 6}" y="{top + HEIGHT}" text-anchor="end">0</text>'
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    )
