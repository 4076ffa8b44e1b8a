"""docs/formats.md says what is really read."""

from __future__ import annotations

from tests.support.formats import BEGIN, END, PAGE, tables


def test_the_page_of_formats_tells_what_is_read() -> None:
    """`python -m tests.support.formats` writes the tables anew."""
    written = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    assert written == tables()
