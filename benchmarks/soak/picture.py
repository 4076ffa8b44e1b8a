"""A soak run as a picture: SVG by hand, readable on white and on black. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.soak.recording import Recording
from benchmarks.soak.verdict import Verdict

_PANEL_WH = (430, 190)
_GAP_PX = 70
_LEFT_PX, _TOP_PX = 60, 106
_TICKS = 4
_MOST_POINTS = 300
_UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))

# By Okabe and Ito, "Color Universal Design", 2008: told apart with any colour vision, on white and on black.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#999999")
STYLE = (
    "text{font:13px sans-serif;fill:#222}.quiet{fill:#666}.title{font-weight:bold}"
    ".back{fill:#fff}.grid{stroke:#ddd}.warm{fill:#000;opacity:.06}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.quiet{fill:#999}"
    ".back{fill:#0d1117}.grid{stroke:#333}.warm{fill:#fff;opacity:.1}}"
)

Points = Sequence[tuple[float, float]]
"""Seconds and values."""


@dataclass(frozen=True)
class Panel:
    """One plot: lines over time, from 0 upwards."""

    title: str
    lines: Mapping[str, Points]
    """Name → points."""


def drawn(verdict: Verdict) -> str:
    """The picture: memory, open files, threads and delay over time, as the text of an SVG file."""
    recording = verdict.recording
    panels = _panels(recording)
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(_names(panels))}
    width_px = _LEFT_PX + 2 * _PANEL_WH[0] + _GAP_PX + 30
    height_px = _TOP_PX + 2 * (_PANEL_WH[1] + _GAP_PX)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width_px} {height_px}" '
        f'width="{width_px}" height="{height_px}" role="img">',
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{width_px}" height="{height_px}"/>',
        *_legend(verdict, colours),
    ]
    for number, panel in enumerate(panels):
        row, column = divmod(number, 2)
        corner = (
            _LEFT_PX + column * (_PANEL_WH[0] + _GAP_PX),
            _TOP_PX + row * (_PANEL_WH[1] + _GAP_PX),
        )
        parts += _panel(panel, corner, recording, colours)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panels(recording: Recording) -> Sequence[Panel]:
    def of(field: str) -> Mapping[str, Points]:
        return {
            name: [(one.at_s, float(getattr(one, field))) for one in looks]
            for name, looks in recording.services.items()
        }

    delays = recording.delays()
    return (
        Panel("memory, MB", of("memory_mb")),
        Panel("open files and connections", of("files")),
        Panel("threads", of("threads")),
        Panel(
            "from capture to store, s",
            {
                "median": [(one.at_s, one.median_s) for one in delays],
                "99 of 100": [(one.at_s, one.p99_s) for one in delays],
            },
        ),
    )


def _names(panels: Sequence[Panel]) -> Sequence[str]:
    return list(dict.fromkeys(name for panel in panels for name in panel.lines))


def _legend(verdict: Verdict, colours: Mapping[str, str]) -> Iterator[str]:
    lasted = f"{verdict.recording.ends_s / 60:.1f} minutes of make soak"
    growth = "" if verdict.checks_memory else ", too few to classify memory"
    yield written(_LEFT_PX, 26, f"{lasted}{growth}; grey: warm-up", "title")
    step_px = (2 * _PANEL_WH[0] + _GAP_PX) / max(1, len(colours))
    for number, (name, colour) in enumerate(colours.items()):
        x_px = _LEFT_PX + number * step_px
        yield f'<rect x="{x_px:.1f}" y="46" width="22" height="4" fill="{colour}"/>'
        yield written(x_px + 28, 52, name)
        slope = verdict.memory_slope(name) if name in verdict.recording.services else None
        if slope is not None and verdict.checks_memory:
            yield written(x_px, 70, f"{slope.growth:+.1f} MB an hour", "quiet")


def _panel(
    panel: Panel, corner_xy: tuple[float, float], recording: Recording, colours: Mapping[str, str]
) -> Iterator[str]:
    left_px, top_px = corner_xy
    width_px, height_px = _PANEL_WH
    end_s = max(recording.ends_s, 1e-9)
    top = ceiling([value for points in panel.lines.values() for _, value in points])
    warm_px = width_px * recording.warm_s / end_s
    yield written(left_px, top_px - 10, panel.title, "title")
    yield f'<rect class="warm" x="{left_px}" y="{top_px}" width="{warm_px:.1f}" height="{height_px}"/>'
    for tick in range(_TICKS + 1):
        y_px = top_px + height_px * (1 - tick / _TICKS)
        yield f'<line class="grid" x1="{left_px}" y1="{y_px:.1f}" x2="{left_px + width_px}" y2="{y_px:.1f}"/>'
        yield written(left_px - 6, y_px + 4, f"{top * tick / _TICKS:g}", "quiet", "end")
    for at_s, label in time_marks(end_s):
        yield written(
            left_px + width_px * at_s / end_s,
            top_px + height_px + 18,
            label,
            "quiet",
            "middle" if at_s else "start",
        )
    for name, points in panel.lines.items():
        at = " ".join(
            f"{left_px + width_px * at_s / end_s:.1f},{top_px + height_px * (1 - value / top):.1f}"
            for at_s, value in thinned(points)
        )
        yield f'<polyline points="{at}" fill="none" stroke="{colours[name]}" stroke-width="1.8"/>'


def time_marks(end_s: float) -> Iterator[tuple[float, str]]:
    """Round times from 0 to `end_s`, at most six, each with its label in the unit that suits the whole."""
    unit_s, unit = next(one for one in _UNITS if end_s >= 3 * one[0] or one is _UNITS[-1])
    ten = 10.0 ** math.floor(math.log10(end_s / unit_s / 5))
    step = next(times * ten for times in (1, 2, 5, 10) if times * ten * 5 >= end_s / unit_s)
    for number in range(math.floor(end_s / unit_s / step) + 1):
        yield number * step * unit_s, f"{number * step:g} {unit}"


def ceiling(values: Sequence[float]) -> float:
    """The end of an axis from 0 that holds all values and divides well by four."""
    most = max(values, default=0.0)
    if most <= 0:
        return 1.0
    ten = 10.0 ** math.floor(math.log10(most / 4))
    return next(times * ten for times in (4, 8, 12, 20, 40) if times * ten >= most)


def thinned(points: Points) -> Points:
    """At most 300 of them, evenly spread, with the last."""
    step = max(1, -(-len(points) // _MOST_POINTS))
    kept = list(points[::step])
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def written(x_px: float, y_px: float, text: str, kind: str = "", anchor: str = "start") -> str:
    """A piece of text of the picture. `kind`: its class in `STYLE`."""
    return f'<text class="{kind}" x="{x_px:.1f}" y="{y_px:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
