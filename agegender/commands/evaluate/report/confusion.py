"""A plot of true ages against the ages read, as SVG: a table of squares, the darker the more."""

from __future__ import annotations

from collections.abc import Sequence

from agegender.commands.evaluate.groups import TRUE_BANDS
from agegender.shared.messages.pipeline import AGE_BANDS

_CELL_WH = (62, 34)
_LEFT_PX, _TOP_PX = 92, 62
_FONT = 'font-family="sans-serif" font-size="13"'
_INK = (8, 48, 107)


def confusion_svg(counts: Sequence[Sequence[int]]) -> str:
    """The plot; `counts` has a row for each of TRUE_BANDS and a column for each of AGE_BANDS.

    Each square shows its share of its row in percent, so that rows of few faces can be read as well.
    """
    width_px = _LEFT_PX + _CELL_WH[0] * len(AGE_BANDS) + 12
    height_px = _TOP_PX + _CELL_WH[1] * len(TRUE_BANDS) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width_px} {height_px}" '
        f'width="{width_px}" height="{height_px}" {_FONT}>',
        f'<rect width="{width_px}" height="{height_px}" fill="white"/>',
        _text(_LEFT_PX + _CELL_WH[0] * len(AGE_BANDS) / 2, 20, "age read, percent of the row"),
        _text(_LEFT_PX / 2, _TOP_PX - 16, "true age"),
    ]
    for column, band in enumerate(AGE_BANDS):
        parts.append(_text(_LEFT_PX + _CELL_WH[0] * (column + 0.5), _TOP_PX - 16, band))
    for row, (band, numbers) in enumerate(zip(TRUE_BANDS, counts, strict=True)):
        middle_px = _TOP_PX + _CELL_WH[1] * (row + 0.5)
        parts.append(_text(_LEFT_PX / 2, middle_px + 5, f"{band} ({sum(numbers)})"))
        parts += [_square(column, row, number, sum(numbers)) for column, number in enumerate(numbers)]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _square(column: int, row: int, number: int, of: int) -> str:
    share = number / of if of else 0.0
    red, green, blue = (round(255 + (ink - 255) * share) for ink in _INK)
    left_px, top_px = _LEFT_PX + _CELL_WH[0] * column, _TOP_PX + _CELL_WH[1] * row
    square = (
        f'<rect x="{left_px}" y="{top_px}" width="{_CELL_WH[0]}" height="{_CELL_WH[1]}" '
        f'fill="rgb({red},{green},{blue})" stroke="#ccc"/>'
    )
    if not number:
        return square
    colour = "white" if share > 0.5 else "black"
    return square + _text(
        left_px + _CELL_WH[0] / 2, top_px + _CELL_WH[1] / 2 + 5, f"{share * 100:.0f}", colour
    )


def _text(x_px: float, y_px: float, text: str, colour: str = "black") -> str:
    return f'<text x="{x_px:g}" y="{y_px:g}" text-anchor="middle" fill="{colour}">{text}</text>'
