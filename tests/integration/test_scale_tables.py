"""docs/scale.md shows what the command says with the constants that come with the project."""

from __future__ import annotations

from agegender.commands.plan.constants import Constants
from tools.pictures.scale_tables import DOCUMENT, tables, with_tables


def test_the_tables_of_the_document_are_those_of_the_command() -> None:
    text = DOCUMENT.read_text()
    assert with_tables(text, Constants.load()) == text, "run python -m tools.pictures.scale"


def test_every_table_is_in_the_document() -> None:
    text = DOCUMENT.read_text()
    for name in tables(Constants.load()):
        assert f"<!-- table: {name} -->" in text
