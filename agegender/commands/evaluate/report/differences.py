"""A plot of two packs or models, as SVG: for each group of faces the difference with its interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from agegender.commands.evaluate.paired import Comparison, Difference, Differences

_ROW_PX, _TOP_PX = 22, 66
_LETTER_PX, _LEAST_LEFT_PX = 7.5, 170
_PANEL_PX, _GAP_PX = 270, 40
_FONT = 'font-family="sans-serif" font-size="13"'
_CLEAR, _UNCLEAR = "#083068", "#888"
Row = tuple[str, Differences | None]
"""A group with its differences; None for the name of a way to split."""


def differences_svg(comparison: Comparison) -> str:
    """The plot: years of age error at the left, percentage points of right genders at the right.

    A dark mark is a difference with an interval on one side of 0.
    """
    rows = list(_rows(comparison))
    left_px = max(_LEAST_LEFT_PX, round(_LETTER_PX * max(len(_name(row)) for row in rows)) + 16)
    width_px = left_px + 2 * _PANEL_PX + 2 * _GAP_PX
    height_px = _TOP_PX + _ROW_PX * len(rows) + 16
    panels = (
        ("age error, years, B - A: less is better", [_of(one, "age") for _, one in rows], 1.0),
        ("gender right, points, B - A: more is better", [_of(one, "gender") for _, one in rows], 100.0),
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width_px} {height_px}" '
        f'width="{width_px}" height="{height_px}" {_FONT}>',
        f'<rect width="{width_px}" height="{height_px}" fill="white"/>',
    ]
    for number, row in enumerate(rows):
        weight = ' font-weight="bold"' if row[1] is None else ""
        parts.append(f'<text x="8" y="{_row_px(number) + 5:g}"{weight}>{escape(_name(row))}</text>')
    for number, (title, found, scale) in enumerate(panels):
        parts += _panel(title, found, scale, left_px + number * (_PANEL_PX + _GAP_PX), height_px)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _rows(comparison: Comparison) -> Iterator[Row]:
    yield "all", comparison.overall
    for title, groups in comparison.groups.items():
        yield f"by {title}", None
        yield from groups.items()


def _name(row: Row) -> str:
    name, found = row
    return name if found is None else f"{name} ({found.faces})"


def _of(found: Differences | None, what: str) -> Difference | None:
    if found is None:
        return None
    return found.age_error_years if what == "age" else found.likelier_right


def _panel(
    title: str, found: Sequence[Difference | None], scale: float, left_px: float, height_px: float
) -> Iterator[str]:
    """One axis with a mark for each difference; the axis reaches equally far to both sides of 0."""
    ends = [end for one in found if one for end in _ends(one)]
    reach = max([abs(end) * scale for end in ends] + [0.1])
    middle_px = left_px + _PANEL_PX / 2

    def place_px(value: float) -> float:
        return middle_px + value * scale / reach * (_PANEL_PX / 2 - 4)

    yield f'<text x="{middle_px:g}" y="20" text-anchor="middle">{escape(title)}</text>'
    for value in (-reach, 0.0, reach):
        at_px = place_px(value / scale)
        yield f'<text x="{at_px:.1f}" y="42" text-anchor="middle" fill="#555">{_signed(value)}</text>'
        yield f'<line x1="{at_px:.1f}" x2="{at_px:.1f}" y1="50" y2="{height_px - 10:g}" stroke="#ccc"/>'
    for number, one in enumerate(found):
        if one is None:
            continue
        colour, at_px = _CLEAR if one.is_clear else _UNCLEAR, _row_px(number)
        low_px, high_px = (place_px(end) for end in _ends(one))
        yield (
            f'<line x1="{low_px:.1f}" x2="{high_px:.1f}" y1="{at_px:g}" y2="{at_px:g}" '
            f'stroke="{colour}" stroke-width="2"/>'
        )
        yield f'<circle cx="{place_px(one.difference.value):.1f}" cy="{at_px:g}" r="4" fill="{colour}"/>'


def _signed(value: float) -> str:
    return f"{value:+.1f}" if value else "0"


def _ends(one: Difference) -> tuple[float, float]:
    low, value, high = one.difference.low, one.difference.value, one.difference.high
    return (value, value) if low is None or high is None else (low, high)


def _row_px(number: int) -> float:
    return _TOP_PX + _ROW_PX * (number + 0.5)
