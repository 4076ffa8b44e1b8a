"""Documents name files and settings that exist, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agegender.services.classify.config import ClassifySettings
from agegender.services.detect.config import DetectSettings
from agegender.services.ingest.config import IngestSettings
from agegender.services.sink.config import SinkSettings
from agegender.shared.cameras.camera import load_cameras
from agegender.shared.process.settings import KafkaSettings, ProcessSettings, RedisSettings

SETTINGS = (
    ClassifySettings,
    DetectSettings,
    IngestSettings,
    KafkaSettings,
    ProcessSettings,
    RedisSettings,
    SinkSettings,
)
ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "shared").rglob("*.md")]
    if path.name != "CHANGELOG.md"
)
FOLDERS = "agegender|benchmarks|deploy|docs|services|shared|simulator|tests|tools"
NAMED = re.compile(rf"`((?:{FOLDERS})/[\w./-]*\w/?)(?::\d+)?`")
LINK = re.compile(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")


def anchors(text: str) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_named_file_exists(name: str) -> None:
    named = NAMED.findall((ROOT / name).read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_named_program_exists(name: str) -> None:
    programs = re.findall(rf"python -m ((?:{FOLDERS})[\w.]*\w)", (ROOT / name).read_text())
    missing = [
        program
        for program in programs
        if "NAME" not in program
        and not any((ROOT / program.replace(".", "/")).with_suffix(end).exists() for end in (".py", ""))
    ]
    assert missing == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    broken = []
    for link in (markdown or html for markdown, html in LINK.findall(page.read_text())):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("name", ["README.md", "docs/settings.md", "docs/security.md"])
def test_the_lists_of_cameras_are_valid(name: str, tmp_path: Path) -> None:
    (listed,) = re.findall(r"^```yaml\n(.*?)^```", (ROOT / name).read_text(), re.DOTALL | re.MULTILINE)
    path = tmp_path / "cameras.yaml"
    path.write_text(listed)
    assert load_cameras(path)[0].id == "entrance"


def test_the_page_of_settings_has_their_names_and_defaults() -> None:
    page = (ROOT / "docs/settings.md").read_text()
    rows = re.findall(r"^\| (`[A-Z_`, ]+) \| ([^|]+) \|", page, re.MULTILINE)
    listed: dict[str, str] = {}
    for names, defaults in rows:
        all_names = re.findall(r"[A-Z_]+", names)
        values = defaults.split(", ")
        listed.update(zip(all_names, values if len(values) > 1 else values * len(all_names), strict=True))
    fields = {
        variable: one.model_fields[field] for one in SETTINGS for variable, field in one.variables().items()
    }
    assert len(listed) > 20
    assert listed.keys() - fields.keys() == set()
    told = {name: value for name, value in listed.items() if value not in {"all", "none", "9101 to 9104"}}
    assert told == {name: written(fields[name].default) for name in told}


def written(default: object) -> str:
    """A default as the page shows it: numbers without a needless point, booleans in lower case."""
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)
