"""The check of plain words: what it counts, what it fails, and where it says the fault is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.prose import Document, checked_files, hard_words_per_1000, problems

PLAIN = "The worker reads a frame. " * 50


def read(folder: Path, name: str, text: str) -> Document:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return Document.read(path, name)


def test_plain_words_pass(tmp_path: Path) -> None:
    assert problems([read(tmp_path, "docs/plain.md", PLAIN), read(tmp_path, "README.md", PLAIN)]) == []


@pytest.mark.parametrize("word", ["who", "Whoever", "whom", "whose", "NOBODY", "somebody's", "(whatever)"])
def test_a_hard_word_is_named_with_its_line(tmp_path: Path, word: str) -> None:
    (problem,) = problems([read(tmp_path, "docs/page.md", f"{PLAIN}\n\nThe worker\nsees {word} comes.\n")])
    assert problem.startswith("docs/page.md:4: ")


@pytest.mark.parametrize("word", ["whole", "what", "none", "nobodies"])
def test_words_that_only_look_alike_pass(tmp_path: Path, word: str) -> None:
    assert problems([read(tmp_path, "docs/page.md", f"{PLAIN} {word}.")]) == []


def test_code_tables_headings_and_html_do_not_count(tmp_path: Path) -> None:
    text = "# Who\n\n| who | whom |\n\n<p>whose</p>\n\n```sh\nwhoever --nobody\n```\n\nRun `who\nami` now.\n"
    document = read(tmp_path, "docs/page.md", text)
    assert document.hard_words == []
    assert [word.text for word in document.words] == ["Run", "X", "now."]
    assert document.words[-1].line == 12


def test_only_docstrings_of_python_count(tmp_path: Path) -> None:
    text = (
        '"""A module."""\n# who\nNAME = "whose"\n\n\nclass Visit:\n    """A visit."""\n\n'
        '    async def close(self) -> None:\n        """Ends it.\n\n        Whoever asks.\n        """\n'
    )
    document = read(tmp_path, "shared/visit.py", text)
    assert [(word.text, word.line) for word in document.hard_words] == [("Whoever", 12)]
    assert " ".join(word.text for word in document.words) == "A module. A visit. Ends it. Whoever asks."


def test_a_short_file_counts_in_the_total_only(tmp_path: Path) -> None:
    short = read(tmp_path, "docs/short.md", "Nobody is there.")
    assert len(problems([short])) == 1
    assert problems([short, read(tmp_path, "docs/long.md", PLAIN * 8)]) == []
    assert hard_words_per_1000([short]) == pytest.approx(1000 / 3)


@pytest.mark.parametrize(("words", "found"), [(30, 0), (31, 1)])
def test_a_sentence_has_at_most_thirty_words(tmp_path: Path, words: int, found: int) -> None:
    text = "A short one.\nAnother: " + "word " * (words - 1) + "end. Short."
    long = problems([read(tmp_path, "README.md", text)])
    assert len(long) == found
    assert all(one.startswith("README.md:2: 31 words") for one in long)
    assert problems([read(tmp_path, "docs/redis.md", text)]) == [], "other pages may have longer ones"


def test_linked_folders_and_the_changelog_are_left_out(tmp_path: Path) -> None:
    for name in ("shared/one.py", "agegender/two.py", "tests/three.py", "docs/adr/four.md", "CHANGELOG.md"):
        read(tmp_path, name, '"""One."""')
    (tmp_path / "agegender/shared").symlink_to("../shared")
    names = [path.relative_to(tmp_path.resolve()).as_posix() for path in checked_files(tmp_path.resolve())]
    assert names == ["agegender/two.py", "docs/adr/four.md", "shared/one.py"]
