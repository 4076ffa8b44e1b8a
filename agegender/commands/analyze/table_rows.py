"""Rows as a table for people, which is printed as it grows."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from agegender.analysis.people import Analyzed, Person
from agegender.commands.analyze.rows import Summary, TextOutput, Totals, time_of
from agegender.commands.face_rows import age_text, gender_texts, interval_text
from agegender.commands.terminal import cut_in_the_middle
from agegender.shared.messages.pipeline import Result

_NAME_CELLS = 24  # where nothing is cut; longer names then move the rest of their line
_LEAST_NAME_CELLS = 12
_FACE_CELLS = 48  # of the columns from time to sure
_QUALITY_CELLS = 8
_BOX_CELLS = 24


class TableRows:
    """A table with columns of fixed width. On a narrow terminal it has fewer columns.

    Args:
        out: where to.
        width: of the lines, in cells of a terminal. None: as wide as the names need.
    """

    def __init__(self, out: TextOutput, width: int | None = None) -> None:
        self._out = out
        self._width = width
        left = None if width is None else width - _FACE_CELLS - _LEAST_NAME_CELLS
        self._has_quality = left is None or left >= _QUALITY_CELLS
        self._has_box = left is None or left >= _QUALITY_CELLS + _BOX_CELLS
        others = _FACE_CELLS + _QUALITY_CELLS * self._has_quality + _BOX_CELLS * self._has_box
        self._name_cells = _NAME_CELLS if width is None else max(_LEAST_NAME_CELLS, width - others)

    def begin(self) -> None:
        """The heading."""
        self._line("file", "time", "face", "id", "age", "between", ("gender", "sure"), "quality", "box, px")

    def faces(self, source: str, frame: Analyzed) -> None:
        """See `Rows`."""
        time_s = time_of(frame)
        for one in frame.faces:
            face = one.face
            left, top, right, bottom = face.box_xyxy
            self._line(
                source,
                "" if time_s is None else f"{time_s:.2f}",
                f"{face.index + 1} of {face.faces_in_frame}",
                "" if face.track_id is None else f"#{face.track_id}",
                *_age_and_gender(one),
                "" if face.quality is None else f"{face.quality:.2f}",
                f"{right - left:.0f}x{bottom - top:.0f} at {left:.0f},{top:.0f}",
            )

    def person(self, source: str, person: Person) -> None:
        """See `Rows`."""
        between, sure = interval_text(person.age_interval_years), f"{person.gender_confidence * 100:.0f} %"
        told = "not classified"
        if person.age_years is not None:
            told = f"{person.gender} {person.age_years:.0f}{between and f' ({between})'}, {sure}"
        seen = f"{_counted(person.faces, 'frame', 'frames')}, {person.first_s:.1f} to {person.last_s:.1f} s"
        self._sentence(source, f"person #{person.track_id}: {told}; {seen}")

    def end(self, source: str, totals: Totals) -> None:
        """See `Rows`; errors are told elsewhere."""
        if totals.people is None:
            if totals.error is None and totals.faces == 0:
                self._sentence(source, "no face")
        elif totals.error is None or totals.faces:
            people = _counted(totals.people, "person", "people") if totals.people else "no person"
            faces = _counted(totals.faces, "face", "faces") if totals.faces else "no face"
            frames = _counted(totals.frames, "frame", "frames")
            self._sentence(source, f"{people}, {faces} in {frames}")

    def summary(self, summary: Summary) -> None:
        """Nothing: standard error tells it."""

    def _line(
        self,
        name: str,
        time_s: str,
        face: str,
        track: str,
        age: str,
        between: str,
        gender: tuple[str, str],
        quality: str,
        box: str,
    ) -> None:
        kind, sure = gender
        both = f"{kind:<8}{sure:>4}" if sure else f"{kind:<12}"
        line = f"{self._name(name)} {time_s:>7} {face:>8} {track:>4} {age:>4} {between:>7} {both}"
        line += f" {quality:>7}" * self._has_quality + f"  {box}" * self._has_box
        self._write(line)

    def _sentence(self, name: str, text: str) -> None:
        """A line with a text in place of the columns; the name gives way where both do not fit."""
        cells = self._name_cells
        if self._width is not None:
            cells = max(_LEAST_NAME_CELLS, min(cells, self._width - cell_len(text) - 2))
        self._write(f"{self._name(name, cells)}  {text}")

    def _write(self, line: str) -> None:
        line = line.rstrip()
        if self._width is not None and cell_len(line) > self._width:
            line = set_cell_size(line, self._width - 1) + "…"
        self._out.write(line + "\n")

    def _name(self, name: str, cells: int | None = None) -> str:
        cells = self._name_cells if cells is None else cells
        printable = "".join(sign if sign.isprintable() else "?" for sign in name)
        if self._width is None:
            return printable + " " * (cells - cell_len(printable))
        return set_cell_size(cut_in_the_middle(printable, cells), cells)


def _age_and_gender(one: Result) -> tuple[str, str, tuple[str, str]]:
    if one.age_years is None:
        return "-", "-", (age_text(one), "")
    return age_text(one), interval_text(one.age_interval_years), gender_texts(one)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
