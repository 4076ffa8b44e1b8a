"""Line charts as SVG, readable on light and on dark pages.

One file follows the colour scheme of the reader through CSS. matplotlib writes fixed colours, so each chart
would need two files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 720, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 36, 48, 116
_COLOURS = (("#0b6fb8", "#5ab4f0"), ("#b3470b", "#f0965a"), ("#2d7d32", "#7bc97f"), ("#7b3fa0", "#c792ea"))
_FONT = "ui-sans-serif, system-ui, sans-serif"


@dataclass(frozen=True)
class Line:
    """Points from left to right; dashed for what is only compared with."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int = 0
    dashed: bool = False


@dataclass(frozen=True)
class Axis:
    """What one axis shows, from its first tick to its last."""

    title: str
    ticks: Sequence[float]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """0 at the first tick, 1 at the last."""
        low, high = self.ticks[0], self.ticks[-1]
        if self.logarithmic:
            return (math.log(max(value, low / 10)) - math.log(low)) / (math.log(high) - math.log(low))
        return (value - low) / (high - low)


def chart(title: str, across: Axis, up: Axis, lines: Sequence[Line]) -> str:
    """The text of an SVG file. Points outside of the axes are cut off at the edge."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        _style(),
        f'<text class="title" x="{_LEFT}" y="24">{escape(title)}</text>',
        *_grid(across, up),
        *(_polyline(line, across, up) for line in lines),
        *_legend(lines),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _style() -> str:
    rules = [
        f"text {{ font: 13px {_FONT}; fill: #24292f }} .title {{ font-size: 15px; font-weight: 600 }}",
        ".grid { stroke: #d0d7de } .line { fill: none; stroke-width: 2.2 } .dashed { stroke-dasharray: 6 5 }",
        *(f".c{number} {{ stroke: {light} }}" for number, (light, _) in enumerate(_COLOURS)),
    ]
    dark = [
        "text { fill: #e6edf3 } .grid { stroke: #3d444d }",
        *(f".c{number} {{ stroke: {dark} }}" for number, (_, dark) in enumerate(_COLOURS)),
    ]
    return f"<style>{' '.join(rules)} @media (prefers-color-scheme: dark) {{ {' '.join(dark)} }}</style>"


def _x(place: float) -> float:
    return _LEFT + min(max(place, 0.0), 1.0) * (_WIDTH - _LEFT - _RIGHT)


def _y(place: float) -> float:
    return _HEIGHT - _BOTTOM - min(max(place, 0.0), 1.0) * (_HEIGHT - _TOP - _BOTTOM)


def _grid(across: Axis, up: Axis) -> Iterable[str]:
    left, right, top, bottom = _x(0), _x(1), _y(1), _y(0)
    for tick in across.ticks:
        x = _x(across.place(tick))
        yield f'<path class="grid" d="M{x:.1f} {top:.1f}V{bottom:.1f}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{tick:,g}</text>'
    for tick in up.ticks:
        y = _y(up.place(tick))
        yield f'<path class="grid" d="M{left:.1f} {y:.1f}H{right:.1f}"/>'
        yield f'<text x="{left - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{tick:,g}</text>'
    middle = (left + right) / 2
    yield f'<text x="{middle:.1f}" y="{bottom + 38:.1f}" text-anchor="middle">{escape(across.title)}</text>'
    turned = f'transform="translate(16 {(top + bottom) / 2:.1f}) rotate(-90)" text-anchor="middle"'
    yield f"<text {turned}>{escape(up.title)}</text>"


def _polyline(line: Line, across: Axis, up: Axis) -> str:
    points = " ".join(f"{_x(across.place(x)):.1f},{_y(up.place(y)):.1f}" for x, y in line.points)
    dashed = " dashed" if line.dashed else ""
    return f'<polyline class="line c{line.colour}{dashed}" points="{points}"/>'


def _legend(lines: Sequence[Line]) -> Iterable[str]:
    """In two columns below the axes."""
    for number, line in enumerate(lines):
        x, y = _LEFT + (number % 3) * 205, _HEIGHT - 54 + (number // 3) * 20
        dashed = " dashed" if line.dashed else ""
        yield f'<path class="line c{line.colour}{dashed}" d="M{x} {y}h26"/>'
        yield f'<text x="{x + 32}" y="{y + 4}">{escape(line.name)}</text>'
