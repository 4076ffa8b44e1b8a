"""The counts by the share of the CPU as a picture. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.overload.scene import Counted
from benchmarks.soak.picture import STYLE, ceiling, written

_WH = (330, 200)
_GAP_PX, _LEFT_PX, _TOP_PX = 90, 50, 90
_BLUE, _ORANGE, _GREY = "#0072B2", "#E69F00", "#999999"
_TICKS = 4

Lines = Mapping[str, tuple[str, Sequence[float]]]
"""Name → colour, and a value for each share."""


def drawn(counted: Sequence[Counted]) -> str:
    """Persons, and frames a second, by the share of the CPU: the text of an SVG file."""
    width_px, height_px = _LEFT_PX + 2 * _WH[0] + _GAP_PX + 30, _TOP_PX + _WH[1] + 50
    people: Lines = {
        "there": (_GREY, [one.people for one in counted]),
        "counted": (_BLUE, [len(one.visits) for one in counted]),
        "of them marked as unsure": (_ORANGE, [len(one.visits) - one.sure for one in counted]),
    }
    rates: Lines = {
        "captured": (_GREY, [one.captured_hz for one in counted]),
        "looked at, one camera": (_BLUE, [one.rates_hz[0] for one in counted]),
        "the other": (_ORANGE, [one.rates_hz[-1] for one in counted]),
    }
    shares = [f"{one.share:g}" for one in counted]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width_px} {height_px}" '
        f'width="{width_px}" height="{height_px}" role="img">',
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{width_px}" height="{height_px}"/>',
        written(_LEFT_PX, 24, "make overload-check: with a part of the CPU that is needed", "title"),
        *_panel("people", people, shares, _LEFT_PX),
        *_panel("frames a second of each camera", rates, shares, _LEFT_PX + _WH[0] + _GAP_PX),
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(title: str, lines: Lines, shares: Sequence[str], left_px: float) -> Iterator[str]:
    width_px, height_px = _WH
    top = ceiling([value for _, values in lines.values() for value in values])
    step_px = width_px / max(1, len(shares) - 1)
    yield written(left_px, _TOP_PX - 36, title, "title")
    for tick in range(_TICKS + 1):
        y_px = _TOP_PX + height_px * (1 - tick / _TICKS)
        yield f'<line class="grid" x1="{left_px}" y1="{y_px:.1f}" x2="{left_px + width_px}" y2="{y_px:.1f}"/>'
        yield written(left_px - 6, y_px + 4, f"{top * tick / _TICKS:g}", "quiet", "end")
    for number, share in enumerate(shares):
        yield written(left_px + number * step_px, _TOP_PX + height_px + 20, share, "quiet", "middle")
    name_px = left_px
    for name, (colour, values) in lines.items():
        yield f'<rect x="{name_px:.1f}" y="{_TOP_PX - 20}" width="12" height="4" fill="{colour}"/>'
        yield written(name_px + 16, _TOP_PX - 14, name, "quiet")
        name_px += 30 + 7 * len(name)
        at = " ".join(
            f"{left_px + number * step_px:.1f},{_TOP_PX + height_px * (1 - value / top):.1f}"
            for number, value in enumerate(values)
        )
        yield f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="2"/>'
