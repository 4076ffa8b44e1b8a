"""Labels of three layouts, and labels that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from agegender.commands.evaluate.dataset import DatasetError, Label, load_labels, parse_age, parse_gender


def _folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_table_of_spans_is_read_in_its_order(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path,
        labels__csv="file,age_low,age_high,gender\nb.jpg,20,29,female\nsub/a b.jpg,70,,male\nc.jpg,0,2,\n",
    )
    assert load_labels(folder) == [
        Label(folder / "b.jpg", 20, 30, "female"),
        Label(folder / "sub/a b.jpg", 70, None, "male"),
        Label(folder / "c.jpg", 0, 3, None),
    ]


def test_a_table_of_ages_is_read_whatever_program_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(
        "\ufeffage;".encode()[:3] + b"file,age,gender\r\nJos\xc3\xa9.png,34,F\r\n"
    )
    assert load_labels(tmp_path) == [Label(tmp_path / "José.png", 34, 35, "female")]


def test_tables_of_other_programs_are_read(tmp_path: Path) -> None:
    text = "file,age_low,age_high,gender\r\na.jpg,20.0,29.0,f\r\nb.jpg,70.0,,m\r\n,,,\r\n   \r\n"
    expected = [Label(tmp_path / "a.jpg", 20, 30, "female"), Label(tmp_path / "b.jpg", 70, None, "male")]
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
        assert load_labels(tmp_path) == expected


def test_further_columns_are_kept(tmp_path: Path) -> None:
    folder = _folder(tmp_path, labels__csv="file,age,gender, race \nsub/a.jpg,5,m, x\n")
    (label,) = load_labels(folder)
    assert (label.name, label.cells["race"]) == ("sub/a.jpg", "x")


def test_the_table_of_fairface_is_read_by_folder_or_path(tmp_path: Path) -> None:
    text = "file,age,gender,race,service_test\n"
    text += "val/1.jpg,3-9,Male,East Asian,True\nval/2.jpg,more than 70,Female,White,False\n"
    folder = _folder(tmp_path, fairface_label_val__csv=text)
    expected = [Label(folder / "val/1.jpg", 3, 10, "male"), Label(folder / "val/2.jpg", 70, None, "female")]
    assert load_labels(folder) == load_labels(folder / "fairface_label_val.csv") == expected


def test_utkfaces_names_are_read_and_other_pictures_left_out(tmp_path: Path) -> None:
    names = [
        "100_0_0_20170112213500903.jpg.chip.jpg",
        "1_1_2_20161219.JPG",
        "holiday.jpg",
        "34_2_0_1.jpg",
        "7_1_x.txt",
    ]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert load_labels(tmp_path) == [
        Label(tmp_path / names[0], 100, 101, "male"),
        Label(tmp_path / names[1], 1, 2, "female"),
    ]


def test_labels_csv_comes_before_everything_else(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path, labels__csv="file,age,gender\na.jpg,5,m\n", other__csv="x", **{"9_1_0_1__jpg": ""}
    )
    assert [label.path.name for label in load_labels(folder)] == ["a.jpg"]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("34", (34, 35)),
        ("0-2", (0, 3)),
        ("20 - 29", (20, 30)),
        ("more than 70", (70, None)),
        ("70+", (70, None)),
        ("0", (0, 1)),
        ("55.0", (55, 56)),
        ("20.0-29.0", (20, 30)),
        ("70.0+", (70, None)),
    ],
)
def test_an_age_is_a_span_until_the_next_birthday(text: str, span: tuple[float, float | None]) -> None:
    assert parse_age(text) == span


@pytest.mark.parametrize("text", ["", "old", "-3", "3.5", "29-20", "20-", "1000", "more than", "+"])
def test_an_age_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="age"):
        parse_age(text)


def test_a_gender_may_be_missing_and_no_other_word_stands_for_it() -> None:
    assert [parse_gender(text) for text in ("Female", "MALE", "f", "m", "")] == [
        *("female", "male", "female", "male", None)
    ]
    with pytest.raises(ValueError, match="'diverse', expected female or male"):
        parse_gender("diverse")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file,age,gender\na.jpg,5,m\nb.jpg,old,m\n", r"labels\.csv', line 3: the age is 'old'"),
        ("file,age,gender\na.jpg,5,x\n", "line 2: the gender is 'x'"),
        ("name,age,gender\na.jpg,5,m\n", "line 2: expected the columns file, gender, and age"),
        ("file,gender\na.jpg,m\n", "line 2: the age is ''"),
        ("file,age_low,age_high,gender\na.jpg,30,20,m\n", "ages 30 to 20 are no interval"),
        ("file,age,gender\n", "nothing in .* is labelled"),
        ("file,age_low,age_high,gender\na.jpg,nan,,m\n", "bound of the age is 'nan'"),
        ("file,age_low,age_high,gender\na.jpg,20-29,,m\n", "bound of the age is '20-29'"),
        ("file,age,gender\na.jpg,5,m,x\n", "line 2: there are more cells than columns"),
    ],
)
def test_a_malformed_label_is_reported_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DatasetError, match=reason):
        load_labels(_folder(tmp_path, labels__csv=text))


def test_a_place_without_labels_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nothing in .* is labelled: expected a labels\.csv"):
        load_labels(tmp_path)
    with pytest.raises(DatasetError, match="there is no"):
        load_labels(tmp_path / "nowhere")


def test_of_several_tables_one_has_to_be_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path, train__csv="file,age\n", val__csv="file,age\n")
    with pytest.raises(DatasetError, match=r"several tables, train\.csv, val\.csv: give the path of one"):
        load_labels(folder)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0\x00")
    with pytest.raises(DatasetError, match="cannot read"):
        load_labels(path)
