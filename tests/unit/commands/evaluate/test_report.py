"""The report on a terminal, in Markdown and in pictures."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from agegender.commands.evaluate.answers import Answer, Classified
from agegender.commands.evaluate.groups import TRUE_BANDS, by_columns
from agegender.commands.evaluate.metrics import evaluated
from agegender.commands.evaluate.paired import compared
from agegender.commands.evaluate.report.confusion import confusion_svg
from agegender.commands.evaluate.report.markdown import markdown, write_report
from agegender.commands.evaluate.report.terminal import print_evaluations
from agegender.commands.evaluate.run import Evaluated, Evaluations
from agegender.shared.messages.pipeline import AGE_BANDS
from tests.support.labelled_faces import answer, label

FACES = [
    *(label(33, 34, name=f"{number}.jpg", group="a very long name of a group") for number in range(12)),
    label(3, 4, name="broken|.jpg", group="b|c"),
]


def _evaluations(*answers: Answer, fitted: bool = False) -> Evaluations:
    splits = by_columns(FACES, ["group"])
    of: list[Evaluated] = []
    for number, one in enumerate(answers):
        classified: Sequence[Classified] = [
            *(Classified(face, one) for face in FACES[:-1]),
            Classified(FACES[-1], None, "no picture"),
        ]
        of.append(Evaluated(f"pack-{number}", classified, evaluated(classified, splits), fitted))
    comparison = compared(of[0].classified, of[1].classified, splits) if len(of) == 2 else None
    return Evaluations("fa|ces", "0" * 64, of, comparison)


def _printed(found: Evaluations, width: int) -> str:
    file = io.StringIO()
    print_evaluations(found, Console(file=file, width=width))
    return file.getvalue()


def test_no_heading_is_cut_on_a_narrow_terminal() -> None:
    for found in (_evaluations(answer(41, (30, 50))), _evaluations(answer(41), answer(39))):
        printed = _printed(found, 40)
        assert "…" not in printed
        assert "a very long name of a group" in printed
    assert "likelier right" in _printed(_evaluations(answer(41)), 40)


def test_sections_are_named_and_the_error_is_explained() -> None:
    printed = _printed(_evaluations(answer(41)), 200)
    for text in ("by true age", "by age read", "by gender", "by face height", "by group"):
        assert text in printed
    assert "error: mean distance in years from the age read to the span of the label" in printed
    assert "as published figures count: 7.50 years" in printed
    assert "12 faces classified, 0 without a face, 1 not readable" in printed
    assert "broken|.jpg: no picture" in printed


def test_a_pack_that_was_fitted_to_the_labels_is_marked() -> None:
    text = "This pack was fitted to these very labels"
    for found in (_evaluations(answer(41), fitted=True), _evaluations(answer(41), answer(40), fitted=True)):
        assert text in _printed(found, 100)
        assert text in markdown(found)
    assert text not in _printed(_evaluations(answer(41)), 100)


def test_a_report_is_written_into_a_folder_that_need_not_exist(tmp_path: Path) -> None:
    found = _evaluations(answer(41))
    path = write_report(found, tmp_path / "new" / "folder")
    text = path.read_text(encoding="utf-8")
    assert text == markdown(found)
    assert "# Ages and genders of fa\\|ces" in text
    assert "13 pictures: 12 faces classified, 0 without a face, 1 not readable." in text
    assert "| by true age | faces |" in text
    assert "| 30-39 | 12 | 7.0 | 7.0 | 0 % | +7.0 | - | - |" in text
    assert "- broken\\|.jpg: no picture" in text
    assert str(tmp_path) not in text
    assert sorted(one.name for one in path.parent.iterdir()) == ["ages.svg", "answers.csv", "report.md"]


def test_a_comparison_has_a_picture_of_its_own(tmp_path: Path) -> None:
    found = _evaluations(answer(41, male=0.9), answer(38))
    path = write_report(found, tmp_path)
    text = path.read_text(encoding="utf-8")
    pictures = ["ages-a.svg", "ages-b.svg", "differences.svg"]
    assert sorted(one.name for one in tmp_path.glob("*.svg")) == pictures
    assert all(f"({name})" in text for name in pictures)
    assert "| all | 12 | 7.00 | 4.00 | -3.00 | +100.0 | - | - |" in text
    assert "| all | 12 | 0.0 % | 100.0 % | +100.0 | +0.0 |" in text
    drawn = ET.fromstring((tmp_path / "differences.svg").read_text(encoding="utf-8"))  # noqa: S314
    texts = [one.text for one in drawn.iter() if one.tag.endswith("text")]
    assert {"all (12)", "by true age", "30-39 (12)", "-3.0", "+100.0"} <= set(texts)


def test_the_plot_shows_each_row_in_percent() -> None:
    counts = [[0] * len(AGE_BANDS) for _ in TRUE_BANDS]
    counts[3][2], counts[3][3] = 3, 1
    texts = [one.text for one in ET.fromstring(confusion_svg(counts)).iter() if one.tag.endswith("text")]  # noqa: S314
    assert {"75", "25", "20-29 (4)", "0-2 (0)"} <= set(texts)
    assert "100" not in texts
