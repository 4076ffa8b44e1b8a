"""Everything that is monitored, at work: services, a store with TLS, the API, a Prometheus with our rules."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml
from kafka import KafkaProducer

from agegender.shared.kafka.output import KafkaOutput
from agegender.shared.kafka.topics import RESULTS
from agegender.shared.messages.pipeline import AGE_BANDS, Result
from agegender.shared.process.settings import KafkaSettings
from agegender.simulator.content.scenes import pair_scene
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.api import ApiClient
from tests.support.certificates import Authority
from tests.support.deploy_tools import DEPLOY
from tests.support.made_messages import JPEG, face_info, unclassified_result
from tests.support.pipeline import Distributed
from tests.support.ports import free_loopback_port
from tests.support.prometheus import Prometheus, running_prometheus, write_history
from tests.support.redis_server import RedisServer
from tests.support.services import Service
from tests.support.waiting import wait_until

DOOR, REFUSED, ALBUM = "door", "refused", "album"
"""A camera with people, one that does not answer, and a folder of pictures with a broken one."""
_TOKEN = "a token of 16 or more signs"
_WEEK_S = 7 * 24 * 3600
_SCRAPE_S = 2  # also how long a busy worker may take to answer
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Monitored:
    """What runs."""

    prometheus: Prometheus
    services: dict[str, Service]
    api: ApiClient
    """Asks with the token; without it even the metrics of the API are not told."""

    def metrics_of(self, service: str) -> str:
        """What Prometheus is told by one of the services."""
        if service == "api":
            return self.api.get("/metrics").body.decode()
        return self.services[service].page("/metrics")


@contextlib.contextmanager
def monitored(kafka: str, redis: RedisServer, authority: Authority, folder: Path) -> Iterator[Monitored]:
    """Runs all of it until the end of the block; at its begin each kind of trouble has happened once."""
    ours = authority.issue("worker")
    store = {
        "REDIS_URL": redis.url,
        "REDIS_CA_PATH": str(authority.certificate),
        "REDIS_CERTIFICATE_PATH": str(ours.certificate),
        "REDIS_KEY_PATH": str(ours.key),
        "REDIS_TIMEOUT_S": "1",
    }
    with CameraSimulator() as simulator, contextlib.ExitStack() as stack:
        cameras_file = folder / "cameras.yaml"
        cameras_file.write_text(yaml.safe_dump({"cameras": _cameras(simulator, folder)}))
        prefix = f"{uuid.uuid4().hex[:8]}-"
        pipeline = Distributed(
            kafka,
            redis.url,
            prefix,
            cameras_file,
            folder,
            REDIS_CA_PATH=store["REDIS_CA_PATH"],
            REDIS_CERTIFICATE_PATH=store["REDIS_CERTIFICATE_PATH"],
            REDIS_KEY_PATH=store["REDIS_KEY_PATH"],
            REDIS_TIMEOUT_S=store["REDIS_TIMEOUT_S"],
            # Little work, so that a machine that is busy with other things is not behind.
            INGEST_FPS="1",
            DETECT_LONGER_SIDE_PX="640",
            CLASSIFY_NETS="fast",
            DETECT_STILL_S="1",
        )
        api = Service("api", {**store, "API_PORT": "0", "API_TOKEN": _TOKEN}, folder).start()
        stack.callback(api.close)
        stack.enter_context(pipeline.running())
        api.wait_until_ready()
        asking = ApiClient(api.port, _TOKEN)
        services = {**pipeline.services, "api": api}
        write_history(_a_week_ago(), folder)
        config = _config({name: one.port for name, one in services.items()}, folder)
        prometheus = stack.enter_context(running_prometheus(config, folder))
        stack.enter_context(asking.events())  # a page is open
        wait_until(
            lambda: len(prometheus.query("agegender_messages_bad_total == 0")) == len(pipeline.services),
            30,
            "Prometheus has seen that nothing was bad",
        )
        _make_trouble(pipeline, simulator, redis, asking)
        yield Monitored(prometheus, services, asking)


def _cameras(simulator: CameraSimulator, folder: Path) -> list[dict[str, object]]:
    album = folder / "album"
    album.mkdir()
    (album / "1.jpg").write_bytes(JPEG)
    (album / "2.jpg").write_bytes(JPEG[: len(JPEG) // 2])
    return [
        {"id": DOOR, "source": simulator.add(DOOR, pair_scene(swapped=False).path)},
        {"id": REFUSED, "source": f"rtsp://127.0.0.1:{free_loopback_port()}/none"},
        {"id": ALBUM, "source": str(album)},
    ]


def _config(ports: dict[str, int], folder: Path) -> dict[str, Any]:
    """Ours, with addresses of this machine in the place of names of containers, and with less patience."""
    config: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": f"{_SCRAPE_S}s", "evaluation_interval": f"{_SCRAPE_S}s"}
    *jobs, itself = config["scrape_configs"]
    for job in jobs:
        names = [name for one in job.pop("dns_sd_configs") for name in one["names"]]
        job["static_configs"] = [
            {"targets": [f"127.0.0.1:{ports[name]}"], "labels": {"__meta_dns_name": name}} for name in names
        ]
        if "authorization" in job:
            token = folder / "api_token"
            token.write_text(_TOKEN)
            job["authorization"]["credentials_file"] = str(token)
    itself["static_configs"] = [{"targets": ["OWN_ADDRESS"]}]
    for path in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            group.pop("interval", None)
        (folder / "rules").mkdir(exist_ok=True)
        (folder / "rules" / path.name).write_text(yaml.safe_dump(rules))
    return config


def _a_week_ago() -> str:
    """What the recording rules about people said a week ago, for a quarter of an hour around this time."""
    shares = {f'age_band="{band}"': 1 / len(AGE_BANDS) for band in AGE_BANDS}
    values = {
        **{
            f"age_band:agegender_results_classified:share1d{{{label}}}": share
            for label, share in shares.items()
        },
        'gender:agegender_results_classified:share1d{gender="female"}': 0.5,
        'gender:agegender_results_classified:share1d{gender="male"}': 0.5,
        "agegender_results_classified:increase1d": 5_000,
        "agegender_age_years:mean1d": 40,
        "agegender_gender_confidence_ratio:mean1d": 0.9,
        "agegender_face_quality_ratio:mean1d": 0.6,
    }
    now_s = int(time.time()) - _WEEK_S
    lines: list[str] = []
    said: set[str] = set()
    for series, value in values.items():
        name = series.partition("{")[0]
        if name not in said:
            said.add(name)
            lines.append(f"# TYPE {name} gauge")
        lines += [f"{series} {value} {at_s}" for at_s in range(now_s - 300, now_s + 600, 30)]
    return "\n".join([*lines, "# EOF", ""])


def _make_trouble(
    pipeline: Distributed, simulator: CameraSimulator, redis: RedisServer, api: ApiClient
) -> None:
    sink = pipeline.services["sink"]
    wait_until(
        lambda: sink.metric("agegender_results_written_total") >= 2, _PATIENCE_S, "results are written"
    )
    _bad_messages(pipeline)
    _end_of_a_visit(pipeline, simulator)
    _odd_results(pipeline)
    _a_store_that_halts(redis, sink, api)


def _bad_messages(pipeline: Distributed) -> None:
    producer = KafkaProducer(bootstrap_servers=pipeline.kafka)
    for topic in ("frames", "faces", "results"):
        producer.send(f"{pipeline.prefix}{topic}", key=b"door", value=b"\x00 not ours").get(timeout=10)
    producer.close()
    for name in ("detect", "classify", "sink"):
        service = pipeline.services[name]
        wait_until(
            partial(_counts, service, "agegender_messages_bad_total"),
            _PATIENCE_S,
            f"{name} gives a message up",
        )


def _end_of_a_visit(pipeline: Distributed, simulator: CameraSimulator) -> None:
    """A new stream of a camera ends all visits of the one before."""
    up = partial(pipeline.services["ingest"].metric, "agegender_camera_up_bool", camera=DOOR)
    simulator.stop_camera(DOOR)
    wait_until(lambda: up() == 0, _PATIENCE_S, "the camera is gone")
    simulator.start_camera(DOOR)
    sink = pipeline.services["sink"]
    wait_until(partial(_counts, sink, "agegender_visits_closed_total"), _PATIENCE_S, "a visit has ended")


def _odd_results(pipeline: Distributed) -> None:
    """One result sent twice, one of a closed visit, and one of a face that was too small."""
    messages = map(RESULTS.codec.decode, pipeline.records(RESULTS.name)[:20])
    classified = next(one for one in messages if isinstance(one, Result) and one.face.vote is not None)
    face, frame = classified.face, classified.face.frame
    another = frame.model_copy(update={"sequence": frame.sequence + 100_000})
    late = classified.model_copy(update={"face": face.model_copy(update={"frame": another, "vote": 90})})
    output = KafkaOutput(
        RESULTS, KafkaSettings(bootstrap_servers=pipeline.kafka, topic_prefix=pipeline.prefix)
    )
    output.open()
    output.write(
        [classified, late, unclassified_result(face_info(another.model_copy(update={"stream_id": "s0"})))]
    )
    output.close()
    sink = pipeline.services["sink"]
    for name in ("agegender_results_repeated_total", "agegender_results_late_total"):
        wait_until(partial(_counts, sink, name), _PATIENCE_S, f"{name} counts")


def _a_store_that_halts(redis: RedisServer, sink: Service, api: ApiClient) -> None:
    redis.freeze()
    wait_until(partial(_counts, sink, "agegender_retries_total"), _PATIENCE_S, "the sink waits for the store")
    wait_until(
        lambda: api.get("/v1/now").status == HTTPStatus.SERVICE_UNAVAILABLE,
        _PATIENCE_S,
        "the API answers with an error of its own",
    )
    redis.thaw()
    wait_until(lambda: sink.readiness()[0], _PATIENCE_S, "the sink goes on")


def _counts(service: Service, metric: str) -> bool:
    return service.metric(metric) >= 1
