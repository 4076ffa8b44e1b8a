"""A full run on a camera that shows real faces, and nothing of a picture anywhere but in Kafka for minutes.

Two ways to run it: four processes over Kafka with a Redis that keeps its data, and everything in one process
with the embedded store.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
import yaml
from kafka import KafkaProducer

from agegender.shared.kafka.topics import FACES, FRAMES, PREVIEWS
from agegender.shared.messages.pipeline import Frame
from agegender.shared.store import ResultStore
from agegender.shared.store.embedded import EmbeddedStore
from agegender.simulator.content.scenes import demo_scene
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.made_messages import frame_info
from tests.support.picture_search import PictureSearch, of_folders, wrapped
from tests.support.pipeline import Distributed
from tests.support.redis_server import RedisServer, find_redis_server
from tests.support.secret_search import of_kafka, of_redis, of_services
from tests.support.waiting import wait_until

PREFIX = f"privacy-{uuid.uuid4().hex[:8]}-"
_ROOT = Path(__file__).parents[2]
_ALONE_S = 12.0  # how long the single process runs: it begins while the others still start
_PICTURES_BELONG = (f"topic {PREFIX}frames", f"topic {PREFIX}faces")


@dataclass(frozen=True)
class Run:
    """What went through Kafka, and what the run has left behind."""

    pipeline: Distributed
    store: redis.Redis
    folders: tuple[Path, ...]
    pages: dict[str, bytes]
    pictures: list[bytes]
    chip: bytes
    search: PictureSearch

    def left_behind(self) -> dict[str, bytes]:
        """Everything that can be read, but for the topics that carry the pictures."""
        places = {
            **self.pages,
            **of_kafka(self.pipeline.kafka, PREFIX),
            **of_redis(self.store),
            **of_folders(*self.folders),
        }
        return {name: content for name, content in places.items() if name not in _PICTURES_BELONG}


@pytest.fixture(scope="module")
def run(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    logs, home, alone = (tmp_path_factory.mktemp(name) for name in ("logs", "home", "alone"))
    with ExitStack() as stack:
        source = stack.enter_context(CameraSimulator()).add("door", demo_scene().path)
        store = _store(stack)
        cameras = logs / "cameras.yaml"
        cameras.write_text(yaml.safe_dump({"cameras": [{"id": "door", "source": source}]}))
        pipeline = Distributed(
            kafka, store.url, PREFIX, cameras, logs, home=home, AGEGENDER_LOG_LEVEL="debug"
        )
        in_one_process = stack.enter_context(_in_one_process(source, alone))
        client = stack.enter_context(redis.Redis.from_url(store.url))
        with pipeline.running():
            _send_bad_messages(pipeline)
            _wait_for_everything(pipeline)
            pages = of_services(pipeline.services.values())
            assert [service.stop() for service in pipeline.services.values()] == [0, 0, 0, 0]
        assert in_one_process.wait(60) == 0, (alone / "run.log").read_text()[-2000:]
        _save_plainly(alone / "store", client)
        frames, faces = pipeline.records("frames"), pipeline.records("faces")
        pictures = [record.value for record in (*frames, *faces) if record.value]
        chip = next(one.value for one in faces if one.value.startswith(b"\xff\xd8"))
        yield Run(
            pipeline, client, (logs, home, alone, store.directory), pages, pictures, chip,
            PictureSearch(pictures),
        )  # fmt: skip


def _store(stack: ExitStack) -> RedisServer:
    try:
        # What is compressed could not be searched.
        server = RedisServer(
            find_redis_server("valkey"), keep_data=True, more_settings={"rdbcompression": "no"}
        )
    except ServerUnavailableError as error:
        skip_or_fail(error)
    stack.callback(server.close)
    server.start()
    return server


def _in_one_process(source: str, home: Path) -> subprocess.Popen[bytes]:
    homes = dict.fromkeys(("HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CACHE_HOME"), str(home))
    ours = {
        "AGEGENDER_STORE_PATH": str(home / "store"),
        "AGEGENDER_LOG_LEVEL": "debug",
        "AGEGENDER_HTTP_PORT": "0",
    }
    with (home / "run.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "agegender", "run", source, "--seconds", str(_ALONE_S)],
            cwd=home,
            env={**os.environ, **homes, **ours, "PYTHONPATH": str(_ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _send_bad_messages(pipeline: Distributed) -> None:
    """Pictures that cannot be read, or that come with nonsense; in `results` no picture belongs at all."""
    classify = pipeline.services["classify"]
    wait_until(lambda: classify.metric("agegender_messages_sent_total"), 60, "a face is classified")
    picture, chip = (pipeline.records(topic)[0].value for topic in ("frames", "faces"))
    taken_now = frame_info("broken", captured_at_s=time.time())
    cut = FRAMES.codec.encode(Frame(info=taken_now, jpeg=picture[1000:]))
    bad: tuple[tuple[str, bytes, tuple[tuple[str, bytes], ...]], ...] = (
        ("frames", cut.value, cut.headers),
        ("frames", picture, ()),
        ("frames", picture, (("schema", b"frame/1"), ("meta", b'{"camera_id": "door"}'))),
        ("faces", chip[100:], (("schema", b"face/1"), ("meta", b"{}"))),
        ("results", b"\x00 not ours", ()),
    )
    with closing(KafkaProducer(bootstrap_servers=pipeline.kafka)) as producer:
        for topic, value, headers in bad:
            sent = producer.send(PREFIX + topic, key=b"broken", value=value, headers=list(headers))
            sent.get(timeout=10)


def _wait_for_everything(pipeline: Distributed) -> None:
    services = pipeline.services
    letters = {"detect": 3, "classify": 1, "sink": 1}
    bad = "agegender_messages_bad_total"
    wait_until(
        lambda: all(services[name].metric(bad) >= number for name, number in letters.items()),
        30,
        f"dead letters are written: {letters}",
    )
    sink = services["sink"]
    wait_until(
        lambda: sink.metric("agegender_results_written_total") >= 10, 60, "results of real faces are written"
    )


def _save_plainly(folder: Path, client: redis.Redis) -> None:
    """Writes what both stores hold to their disks, not compressed."""
    client.save()
    with EmbeddedStore(folder) as store, redis.Redis.from_url(store.url) as embedded:
        assert embedded.dbsize() > 3, "the run in one process has left nothing"
        embedded.config_set("rdbcompression", "no")
        embedded.save()


def test_pictures_were_processed_and_each_place_has_data(run: Run) -> None:
    assert len(run.pictures) > 20
    places = run.left_behind()
    for place in (
        f"topic {PREFIX}results",
        f"topic {PREFIX}dead-letters",
        "key b'agegender:{door}:state'",
        "log logs0/sink.log",
        "file logs0/classify.log",
        "file alone0/run.log",
        "file alone0/store/dump.rdb",
        f"file {run.folders[-1].name}/dump.rdb",
    ):
        assert places[place], sorted(places)
    assert any("appendonlydir" in name for name in places), sorted(places)


def test_no_picture_is_left_in_store_disk_log_or_dead_letter(run: Run) -> None:
    assert run.search.found(run.left_behind()) == {}


def test_the_search_finds_a_chip_in_each_place_and_encoding(run: Run) -> None:
    logs, home, alone, on_disk = run.folders
    planted: set[str] = set()
    for number, (wrapping, content) in enumerate(wrapped(run.chip).items()):
        assert run.search.picture_in(content), wrapping
        key = f"planted:{number}".encode()
        run.store.hset(key.decode(), mapping={"picture": content})
        planted.add(f"key {key!r}")
        for folder in (logs, home, alone / "store", on_disk):
            (folder / f"planted{number}").write_bytes(content)
        places = [("logs0", ""), ("home0", ""), ("alone0", "store/"), (on_disk.name, "")]
        planted |= {f"file {name}/{below}planted{number}" for name, below in places}
    run.store.save()  # which puts them on the disk as well
    hidden = b'{"chip": "' + run.chip.hex().encode() + b'"}'
    with closing(KafkaProducer(bootstrap_servers=run.pipeline.kafka)) as producer:
        producer.send(f"{PREFIX}results", value=hidden).get(timeout=10)
        headers = [("meta", run.chip[700:800])]
        producer.send(f"{PREFIX}dead-letters", value=b"", headers=headers).get(timeout=10)
    planted |= {f"topic {PREFIX}results", f"topic {PREFIX}dead-letters", f"file {on_disk.name}/dump.rdb"}
    found = set(run.search.found(run.left_behind()))
    assert found - planted <= {name for name in found if "appendonlydir" in name}
    assert planted <= found


def test_the_search_finds_any_sixty_four_bytes_in_a_row(run: Run) -> None:
    picture = max(run.pictures, key=len)
    for start in range(len(picture) // 2, len(picture) // 2 + 40):
        assert run.search.picture_in(b"\x00" * 7 + picture[start : start + 64] + b"\xff" * 9)
    assert run.search.picture_in(bytes(range(256)) * 40 + b"a log line, \\u00e4\\n" * 100) is None


@pytest.mark.parametrize("redis_url", ["valkey"], indirect=True)
def test_previews_reach_the_store_and_no_lasting_topic(
    kafka: str, redis_database: str, random_suffix: str, tmp_path: Path
) -> None:
    prefix = f"previews-{random_suffix}-"
    cameras = tmp_path / "cameras.yaml"
    with CameraSimulator() as simulator, redis.Redis.from_url(redis_database) as client:
        listed = [{"id": "door", "source": simulator.add("door", demo_scene().path)}]
        cameras.write_text(yaml.safe_dump({"cameras": listed}))
        pipeline = Distributed(
            kafka, redis_database, prefix, cameras, tmp_path, DETECT_PREVIEW="clear", INGEST_FPS="2"
        )
        with pipeline.running():
            store = ResultStore(client)
            wait_until(lambda: store.preview("door"), 60, "the preview is in the store")
            wait_until(
                lambda: len(pipeline.records("results")) >= 5 and len(pipeline.records("previews")) >= 3,
                60,
                "results and previews have gone through",
            )
            shown = store.preview("door")
    places = {name.removeprefix(f"topic {prefix}"): found for name, found in of_kafka(kafka, prefix).items()}
    previews = [PREVIEWS.codec.decode(one).jpeg for one in pipeline.records("previews")]
    assert shown in previews
    search = PictureSearch([*previews, *(one.value for one in pipeline.records("frames"))])
    belong = {FRAMES.name, FACES.name, PREVIEWS.name}
    assert {one.retention_s for one in (FRAMES, FACES, PREVIEWS)} == {120, 600}
    assert search.found({name: found for name, found in places.items() if name not in belong}) == {}
    faces = [FACES.codec.decode(one) for one in pipeline.records("faces")]
    told = [one for one in pipeline.records("faces") if dict(one.headers)["schema"] == b"track-update/2"]
    assert told
    assert len(told) < len(faces)
    assert {one.value for one in told} == {b""}
