"""`python -m tools.prose`: checks that documents and docstrings use plain words and short sentences.

Markdown counts without code, tables, headings and HTML. Of Python files only docstrings count. The limits:

- 0.5 hard words in 1,000, in each file of 200 words and more and in all files together;
- 30 words in a sentence of `README.md` and `docs/architecture.md`.

Each finding is one line on standard output: file, line, and what to do. The exit status is then 1.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

HARD_WORDS_PER_1000 = 0.5
WORDS_OF_A_LONG_FILE = 200
WORDS_PER_SENTENCE = 30

_ROOT = Path(__file__).resolve().parents[1]
_FOLDERS = ("agegender", "services", "shared", "simulator", "benchmarks", "tools", "docs", "deploy", "tests")
_PYTHON_FOLDERS = frozenset({"agegender", "services", "shared", "simulator", "benchmarks", "tools"})
_SHORT_SENTENCES = frozenset({"README.md", "docs/architecture.md"})
_EXEMPT = frozenset({"CHANGELOG.md"})

_HARD_WORD = re.compile(
    r"\b(?:who|whoever|whom|whose|nobody|somebody|whatever|nought|thereof|wherein)\b", re.IGNORECASE
)
_CODE_BLOCK = re.compile(r"```.*?```", re.DOTALL)
_CODE = re.compile(r"`[^`]*`")
_NO_PROSE = ("|", "#", "<")


@dataclass(frozen=True)
class Word:
    """A word with the punctuation around it, and its line in the file, from 1."""

    text: str
    line: int

    @property
    def hard_words(self) -> list[str]:
        """The hard words in it; two of them may be joined by a hyphen."""
        return _HARD_WORD.findall(self.text)

    @property
    def ends_a_sentence(self) -> bool:
        """Whether the next word begins a sentence; a colon counts as an end."""
        return self.text.endswith((".", "!", "?", ":"))


@dataclass(frozen=True)
class Document:
    """The running text of one file; `name` is its path from the root of the repository."""

    name: str
    words: tuple[Word, ...]

    @classmethod
    def read(cls, path: Path, name: str) -> Document:
        """Reads a Markdown or Python file; `SyntaxError` for Python that cannot be parsed."""
        text = path.read_text(encoding="utf-8")
        lines = docstring_lines(text) if path.suffix == ".py" else markdown_lines(text)
        return cls(name, tuple(Word(word, line) for line, content in lines for word in content.split()))

    @property
    def hard_words(self) -> list[Word]:
        """All hard words in it, each with its line."""
        return [Word(found, word.line) for word in self.words for found in word.hard_words]

    def sentences(self) -> Iterator[list[Word]]:
        """All words in their order, split after each end of a sentence."""
        sentence: list[Word] = []
        for word in self.words:
            sentence.append(word)
            if word.ends_a_sentence:
                yield sentence
                sentence = []
        if sentence:
            yield sentence


def markdown_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that hold prose, numbered from 1; code in a line is replaced by one word."""
    text = _CODE_BLOCK.sub(lambda block: "\n" * block[0].count("\n"), text)
    kept = ["" if line.lstrip().startswith(_NO_PROSE) else line for line in text.split("\n")]
    text = _CODE.sub(lambda code: "X" + "\n" * code[0].count("\n"), "\n".join(kept))
    return enumerate(text.split("\n"), 1)


def docstring_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of all docstrings of a module, with their numbers in the file."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            if docstring is not None:
                yield from enumerate(docstring.split("\n"), node.body[0].lineno)


def hard_words_per_1000(documents: Iterable[Document]) -> float:
    """The hard words in 1,000 words of all documents together; 0 without any words."""
    words = hard = 0
    for document in documents:
        words += len(document.words)
        hard += len(document.hard_words)
    return 1000 * hard / max(words, 1)


def problems(documents: list[Document]) -> list[str]:
    """What to change, one line for each finding; empty if all documents are within the limits."""
    all_fail = hard_words_per_1000(documents) > HARD_WORDS_PER_1000
    found: list[str] = []
    for document in documents:
        long_enough = len(document.words) >= WORDS_OF_A_LONG_FILE
        if all_fail or (long_enough and hard_words_per_1000([document]) > HARD_WORDS_PER_1000):
            found += [
                f"{document.name}:{hard.line}: '{hard.text}': say the person, the worker, or 'no one'"
                for hard in document.hard_words
            ]
        if document.name in _SHORT_SENTENCES:
            found += [
                f"{document.name}:{sentence[0].line}: {len(sentence)} words in one sentence, at most "
                f"{WORDS_PER_SENTENCE} are allowed: split '{' '.join(word.text for word in sentence[:8])} …'"
                for sentence in document.sentences()
                if len(sentence) > WORDS_PER_SENTENCE
            ]
    return found


def checked_files(root: Path) -> list[Path]:
    """The Markdown files under `root` and the Python files of our packages, sorted, each once."""
    found = [*root.glob("*.md"), *root.glob("*.py")]
    for folder in _FOLDERS:
        found += (root / folder).rglob("*.md")
        if folder in _PYTHON_FOLDERS:
            found += (root / folder).rglob("*.py")
    files = {path.resolve() for path in found}
    return sorted(path for path in files if path.relative_to(root).as_posix() not in _EXEMPT)


def main() -> None:
    """Checks the repository, prints what to change, and ends with status 1 if there is anything."""
    documents = [Document.read(path, path.relative_to(_ROOT).as_posix()) for path in checked_files(_ROOT)]
    found = problems(documents)
    words = sum(len(document.words) for document in documents)
    total = f"{len(documents)} files, {words} words, {hard_words_per_1000(documents):.2f} hard words in 1,000"
    sys.stdout.write("\n".join([*found, total]) + "\n")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
