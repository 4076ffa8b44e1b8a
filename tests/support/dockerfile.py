"""A Dockerfile as its stages, built into folders instead of images.

COPY and RUN are carried out as they stand, with the absolute paths moved below a folder. So what is installed
is what the file says, and a test of it cannot drift from it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_MOUNT = re.compile(r"--mount=\S+\s+")
_CHANGES_THE_MACHINE = ("useradd ",)
_RUN_WITHIN_S = 300


@dataclass(frozen=True)
class Instruction:
    """`word` in capitals, and the rest of the line with its continuations joined."""

    word: str
    rest: str

    @property
    def exec_form(self) -> list[str]:
        """The words of a CMD, an ENTRYPOINT or the command of a HEALTHCHECK, which stand in brackets."""
        return [str(word) for word in json.loads(self.rest[self.rest.index("[") :])]


@dataclass(frozen=True)
class Stage:
    """One `FROM … AS name`. `parent`: another stage or an image."""

    name: str
    parent: str
    instructions: list[Instruction] = field(default_factory=list)


class Dockerfile:
    """The stages of a file by name, in their order; every stage must have a name."""

    def __init__(self, path: Path) -> None:
        self.stages: dict[str, Stage] = {}
        arguments: dict[str, str] = {}
        latest = None
        for one in _instructions(path.read_text()):
            if one.word == "FROM":
                parent, _, name = one.rest.split()
                latest = Stage(name, re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], parent))
                self.stages[name] = latest
            elif latest is not None:
                latest.instructions.append(one)
            else:
                name, _, value = one.rest.partition("=")
                arguments[name] = value

    def lineage(self, name: str) -> list[Stage]:
        """The stage and those that it is made from, the eldest first."""
        stage = self.stages[name]
        return [*(self.lineage(stage.parent) if stage.parent in self.stages else ()), stage]

    def all_of(self, name: str, word: str) -> list[Instruction]:
        """The instructions of that kind in the stage's lineage."""
        return [one for stage in self.lineage(name) for one in stage.instructions if one.word == word]

    def last_of(self, name: str, word: str) -> Instruction:
        """The last of them: the one that counts where only one can."""
        return self.all_of(name, word)[-1]

    def pairs(self, name: str, word: str) -> dict[str, str]:
        """The names and values of all ENV or LABEL of the lineage."""
        found = (re.findall(r'(\S+?)=(?:"([^"]*)"|(\S+))', one.rest) for one in self.all_of(name, word))
        return {key: quoted or plain for pairs in found for key, quoted, plain in pairs}

    def targets(self) -> list[str]:
        """The stages that can be started: those with a CMD."""
        return [
            name for name in self.stages if any(one.word == "CMD" for one in self.stages[name].instructions)
        ]


class Built:
    """The stages, each built into a folder of its name.

    Args:
        context: the folder that COPY takes from.
        where: an empty folder. Its folder `base` stands in for the image that all stages begin with: a clean
            Python of the version that runs this.
    """

    def __init__(self, dockerfile: Dockerfile, context: Path, where: Path) -> None:
        self.dockerfile = dockerfile
        self._context = context
        self._where = where
        copied = (
            one.rest.split()[1:]
            for stage in dockerfile.stages.values()
            for one in stage.instructions
            if one.word == "COPY" and one.rest.startswith("--from=")
        )
        folders = {path.split("/")[1] for paths in copied for path in paths}
        folders |= {
            one.rest.split("/")[1]
            for stage in dockerfile.stages.values()
            for one in stage.instructions
            if one.word == "WORKDIR"
        }
        self._absolute = re.compile(rf"(?<![\w.}}/])/(?=(?:{'|'.join(sorted(folders))})\b)")
        subprocess.run([sys.executable, "-m", "venv", where / "base"], check=True)

    def root(self, name: str) -> Path:
        """The folder of the stage, built if it does not exist; raises AssertionError if a RUN fails."""
        stage, root = self.dockerfile.stages[name], self._where / name
        if root.exists():
            return root
        if stage.parent in self.dockerfile.stages:
            _link(self.root(stage.parent), root)
        else:
            root.mkdir()
        for number, one in enumerate(stage.instructions):
            if one.word == "WORKDIR":
                self._folder(name, number).mkdir(parents=True, exist_ok=True)
            elif one.word == "COPY":
                self._copy(name, number, one.rest)
            elif one.word == "RUN" and not one.rest.startswith(_CHANGES_THE_MACHINE):
                self._run(name, number, one.rest)
        return root

    def moved(self, name: str, text: str) -> str:
        """The text with the paths inside a container replaced by those of the folder."""
        return self._absolute.sub(f"{self._where / name}/", text)

    def environment(self, name: str) -> dict[str, str]:
        """The variables of a container of the stage, and those of this machine, which may name a registry."""
        ours = {key: value for key, value in os.environ.items() if not key.startswith("AGEGENDER_")}
        path = f"{self._where / 'base' / 'bin'}:/usr/bin:/bin"
        set_here = self.dockerfile.pairs(name, "ENV")
        return ours | {
            key: self.moved(name, value).replace("$PATH", path)
            for key, value in ({"PATH": "$PATH"} | set_here).items()
        }

    def folder(self, name: str) -> Path:
        """The working folder of a container of the stage."""
        return self._folder(name, len(self.dockerfile.stages[name].instructions))

    def _folder(self, name: str, before: int) -> Path:
        *elders, stage = self.dockerfile.lineage(name)
        instructions = [one for elder in elders for one in elder.instructions] + stage.instructions[
            : before + 1
        ]
        found = [one.rest for one in instructions if one.word == "WORKDIR"]
        return self._where / name / (found[-1] if found else "/").lstrip("/")

    def _copy(self, name: str, number: int, rest: str) -> None:
        *sources, target = rest.split()
        if sources[0].startswith("--from="):
            origin = self.root(sources.pop(0).removeprefix("--from="))
        else:
            origin = self._context
        into = (
            self._where / name / target.lstrip("/")
            if target.startswith("/")
            else self._folder(name, number) / target
        )
        for source in sources:
            found = origin / source.lstrip("/")
            if found.is_dir():
                _link(found, into)
            else:
                end = into / found.name if target.endswith("/") else into
                end.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, end)

    def _run(self, name: str, number: int, rest: str) -> None:
        command = self.moved(name, _MOUNT.sub("", rest))
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self._folder(name, number),
            # Links to the cache are quicker. Only an image must not depend on it.
            env=self.environment(name) | {"UV_LINK_MODE": "hardlink"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_RUN_WITHIN_S,
        )
        assert done.returncode == 0, f"{name}: RUN {rest}\n{done.stdout}"


def _link(source: Path, target: Path) -> None:
    shutil.copytree(
        source,
        target,
        symlinks=True,
        copy_function=_link_file,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__"),
    )


def _link_file(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        # Another file system.
        shutil.copy2(source, target, follow_symlinks=False)


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield Instruction(word.upper(), rest.strip())
