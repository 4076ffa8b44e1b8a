"""The package as others install it: from a wheel, from a source distribution, or editable.

Each is installed into an environment of its own. The dependencies come from the environment of the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.simulator.content.scenes import ASTRONAUT
from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.redis_server import RedisServer, find_redis_server, running_redis
from tests.support.services import Service
from tests.support.waiting import wait_until

_ROOT = Path(__file__).parents[2]
_PARTS = ("services", "shared", "simulator")
_SERVICES = ("ingest", "detect", "classify", "sink", "api")
_PROGRAM = """
import sys
from age_gender_detection import analyze_image

(result,) = analyze_image(sys.argv[1])
print(result.gender, *result.age_interval_years)
"""
_IMPORTER = """
from age_gender_detection import Analyzer, analyze_image
from agegender.analysis.people import People
from agegender.services.detect.faces.yunet import YuNet
from agegender.shared.images.pictures import shrink
from agegender.simulator.content.samples import fetch_samples

reveal_type(analyze_image("photo.jpg"))
reveal_type(Analyzer.analyze_frames)
reveal_type(People.persons)
reveal_type(YuNet.detect)
reveal_type(shrink)
reveal_type(fetch_samples)
"""
_LOADED_TWICE = """
import collections, json, pathlib, runpy, sys

runpy.run_module(sys.argv[1], run_name="not_main")
short = sorted(name for name in sys.modules if name.split(".")[0] in sys.argv[2:])
paths = [getattr(module, "__file__", None) for module in sys.modules.values()]
times = collections.Counter(pathlib.Path(path).resolve() for path in paths if path)
print(json.dumps([short, [str(path) for path in times if times[path] > 1 and path.suffix == ".py"]]))
"""


def _uv(*words: str | Path) -> None:
    """Runs uv. Without a network it has no build backend: the test is skipped, and fails in CI."""
    done = subprocess.run(
        [sys.executable, "-m", "uv", *words], capture_output=True, text=True, timeout=100, check=False
    )
    if done.returncode != 0:
        skip_or_fail(ServerUnavailableError(f"uv {words[0]} failed: {done.stderr[-300:]}"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    _uv("build", "--out-dir", folder, _ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """The wheel that is built from the source distribution."""
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def python_of_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment into which the wheel is installed."""
    return _environment(tmp_path_factory.mktemp("wheel"), wheel)


@pytest.fixture(scope="module")
def editable_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment into which the checkout is installed as editable."""
    return _environment(tmp_path_factory.mktemp("editable"), "--editable", _ROOT)


@pytest.fixture(params=["python_of_wheel", "editable_python"])
def python(request: pytest.FixtureRequest) -> Path:
    """The Python of either environment."""
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """The folder of a program whose own packages have the names of ours and fail when they are imported."""
    folder = tmp_path / "foreign"
    for name in _PARTS:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(
            f"raise AssertionError('the foreign {name} was imported')\n"
        )
    (folder / "program.py").write_text(_PROGRAM)
    return folder


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """The address of an empty store."""
    yield from (server.url for server in running_redis(lambda: RedisServer(find_redis_server("valkey"))))


def _environment(folder: Path, *what: str | Path) -> Path:
    python = folder / "bin" / "python"
    _uv("venv", "--quiet", "--python", sys.executable, folder)
    _uv("pip", "install", "--quiet", "--no-deps", "--python", python, *what)
    # A path that a .pth file names is searched last, and .pth files in there are not read.
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python


def _said(*command: str | Path, folder: Path) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_adds_two_names_and_their_types(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert {name.split("/")[0] for name in names} == {
        "age_gender_detection-stubs",
        "age_gender_detection.py",
        "agegender",
        f"{'-'.join(wheel.name.split('-')[:2])}.dist-info",
    }
    assert len(names) == len(set(names))


def test_the_wheel_holds_each_module_and_data_file_once(wheel: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "agegender", *_PARTS],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    expected = {
        name if name.startswith("agegender/") else f"agegender/{name}"
        for name in tracked
        if not (_ROOT / name).is_symlink()
    }

    with zipfile.ZipFile(wheel) as archive:
        held = [name for name in archive.namelist() if name.startswith("agegender/")]
        links = [
            one.filename for one in archive.infolist() if (one.external_attr >> 16) & 0o170000 == 0o120000
        ]

    assert set(held) == expected
    assert not links


def test_the_sdist_holds_each_file_once(built: Path, wheel: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = [one.name.partition("/")[2] for one in archive.getmembers() if not one.isdir()]
    with zipfile.ZipFile(wheel) as archive_of_wheel:
        wheel_names = {name for name in archive_of_wheel.namelist() if ".dist-info/" not in name}

    assert not {name: times for name, times in Counter(names).items() if times > 1}
    assert set(names) - wheel_names == {
        ".gitignore",
        "CHANGELOG.md",
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "pyproject.toml",
    }


def test_the_wheel_of_the_sdist_is_that_of_the_checkout(wheel: Path, tmp_path: Path) -> None:
    _uv("build", "--wheel", "--out-dir", tmp_path, _ROOT)

    def contents(path: Path) -> dict[str, int]:
        with zipfile.ZipFile(path) as archive:
            return {one.filename: one.CRC for one in archive.infolist()}

    assert contents(next(tmp_path.glob("*.whl"))) == contents(wheel)


def test_a_program_with_packages_of_the_same_names_works(python: Path, foreign: Path) -> None:
    gender, low, high = _said(python, "program.py", ASTRONAUT, folder=foreign).split()

    assert gender == "female"
    # Eileen Collins was 41 to 48 years old when the portrait was taken.
    assert float(low) < 48
    assert float(high) > 41


def test_the_commands_work_beside_packages_of_the_same_names(python: Path, foreign: Path) -> None:
    found = _said(python.with_name("agegender"), "analyze", "--json", ASTRONAUT, folder=foreign)

    assert json.loads(found.splitlines()[0])["gender"] == "female"
    assert "analyze" in _said(python, "-m", "agegender", "--help", folder=foreign)


def test_all_services_run_from_the_wheel(
    python_of_wheel: Path, foreign: Path, kafka: str, store: str, random_suffix: str, tmp_path: Path
) -> None:
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_TOPIC_PREFIX": f"{random_suffix}-",
        "KAFKA_PARTITIONS": "1",
        "REDIS_URL": store,
        "API_PORT": "0",
        "INGEST_CAMERAS": str(ASTRONAUT),
    }
    services = {
        name: Service(
            name,
            settings,
            tmp_path,
            home=foreign,
            program=[f"agegender.services.{name}"],
            python=python_of_wheel,
        )
        for name in _SERVICES
    }
    try:
        for service in services.values():
            service.start()
        for service in services.values():
            service.wait_until_ready()
        sink = services["sink"]
        wait_until(lambda: sink.metric("agegender_results_written_total") == 1, 60, "the portrait is stored")
        assert [service.stop() for service in services.values()] == [0] * len(services)
    finally:
        for service in services.values():
            service.close()


@pytest.mark.parametrize("name", _SERVICES)
def test_a_service_from_the_checkout_loads_no_module_twice(name: str) -> None:
    module = f"services.{name}.__main__"
    said = _said(sys.executable, "-c", _LOADED_TWICE, module, *_PARTS, folder=_ROOT)
    by_short_name, twice = json.loads(said)

    assert by_short_name == ["services", f"services.{name}"]
    # Only the packages on the way to the module are, and they hold nothing but a docstring.
    ours = {Path(path) for path in twice if Path(path).is_relative_to(_ROOT)}
    assert ours <= {_ROOT / "services" / "__init__.py", _ROOT / "services" / name / "__init__.py"}
    assert all(set(compile(path.read_text(), path, "exec").co_names) <= {"__doc__"} for path in ours)


def test_type_checkers_of_a_user_know_our_types(python_of_wheel: Path, tmp_path: Path) -> None:
    script = tmp_path / "importer.py"
    script.write_text(_IMPORTER)
    options = ["--python-executable", str(python_of_wheel), "--cache-dir", str(tmp_path / "cache")]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, script.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    told = checked.stdout
    assert checked.returncode == 0, told
    assert told.count("Revealed type is") == 6
    assert '"list[agegender.shared.messages.pipeline.Result]"' in told
    assert '"Any"' not in told
